/* The part of macOS's <mach/mach.h> that csrc/ uses, so that its files for macOS can be built and run elsewhere. Their
 * answers come from the test that is linked with them. Names are the system's; layouts and values need not be: whether the
 * sources fit the real headers is what `tools/lint_c.py --cross` shows. */
#ifndef LG_TEST_MACH_H
#define LG_TEST_MACH_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

typedef int kern_return_t;
typedef int integer_t;
typedef unsigned int natural_t;
typedef natural_t mach_port_t;
typedef natural_t mach_msg_type_number_t;
typedef mach_port_t task_name_t;
typedef mach_port_t thread_inspect_t;
typedef integer_t *task_info_t;
typedef integer_t *thread_info_t;

enum { KERN_SUCCESS = 0, KERN_INVALID_ARGUMENT = 4, KERN_FAILURE = 5 };
enum { MACH_TASK_BASIC_INFO = 20, TASK_VM_INFO = 22, THREAD_BASIC_INFO = 3 };

struct mach_task_basic_info {
  uint64_t virtual_size;
  uint64_t resident_size;
  uint64_t resident_size_max;
};
#define MACH_TASK_BASIC_INFO_COUNT ((mach_msg_type_number_t)(sizeof(struct mach_task_basic_info) / sizeof(natural_t)))

struct task_vm_info {
  uint64_t virtual_size;
  uint64_t resident_size;
  uint64_t phys_footprint; /* since revision 1 */
  uint64_t min_address;    /* since revision 2 */
  uint64_t max_address;
};
#define TASK_VM_INFO_COUNT ((mach_msg_type_number_t)(sizeof(struct task_vm_info) / sizeof(natural_t)))
#define TASK_VM_INFO_REV1_COUNT                                                                                        \
  ((mach_msg_type_number_t)(offsetof(struct task_vm_info, min_address) / sizeof(natural_t)))
#define TASK_VM_INFO_REV0_COUNT                                                                                        \
  ((mach_msg_type_number_t)(offsetof(struct task_vm_info, phys_footprint) / sizeof(natural_t)))

typedef struct {
  integer_t seconds;
  integer_t microseconds;
} time_value_t;

typedef struct {
  time_value_t user_time;
  time_value_t system_time;
} thread_basic_info_data_t;
#define THREAD_BASIC_INFO_COUNT ((mach_msg_type_number_t)(sizeof(thread_basic_info_data_t) / sizeof(natural_t)))

mach_port_t mach_task_self(void);
kern_return_t task_info(task_name_t task, natural_t flavor, task_info_t info, mach_msg_type_number_t *count);
kern_return_t thread_info(thread_inspect_t thread, natural_t flavor, thread_info_t info, mach_msg_type_number_t *count);

#endif
