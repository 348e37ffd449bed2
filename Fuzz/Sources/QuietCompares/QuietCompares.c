/* Where images and sessions are fuzzed, a third of the time would go into noting what was compared
   with what, of which hashes make most. The linker lets what was instrumented call these, which are
   written so that nothing instruments them. `ret` is what it is called on x86 and on ARM. */
#define QUIET(name)                                                                              \
    __asm__(".text\n.globl __wrap___sanitizer_cov_trace_" #name "\n"                             \
            ".type __wrap___sanitizer_cov_trace_" #name ", @function\n"                           \
            "__wrap___sanitizer_cov_trace_" #name ":\nret\n")

QUIET(cmp1);
QUIET(cmp2);
QUIET(cmp4);
QUIET(cmp8);
QUIET(const_cmp1);
QUIET(const_cmp2);
QUIET(const_cmp4);
QUIET(const_cmp8);
