"""What tools/check.py is made of: programs that are run, the environment they run in, what is built, and the steps."""
