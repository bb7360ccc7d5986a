/* Preloaded into a peer: makes the CPU look as if it had no AVX-512, so that AVX2 code can be compared with
 * AVX2 code on a machine that has more. Linux x86-64 with CPUID faulting (arch_prctl ARCH_SET_CPUID): the
 * instruction traps, the handler runs it and clears the AVX-512 and AMX bits.
 *
 *   cc -shared -fPIC -O2 -o libcpumask.so bench/cpumask.c && LD_PRELOAD=./libcpumask.so PROGRAM
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static struct sigaction previous;

static long cpuid_allowed(unsigned long on)
{
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, on);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *const uc = context;
    greg_t *const r = uc->uc_mcontext.gregs;
    const uint8_t *const pc = (const uint8_t *)(uintptr_t)r[REG_RIP];
    if (pc[0] != 0x0f || pc[1] != 0xa2) { /* not CPUID: a real fault */
        sigaction(sig, &previous, NULL);
        (void)info;
        return;
    }
    const unsigned leaf = (unsigned)r[REG_RAX], sub = (unsigned)r[REG_RCX];
    unsigned a, b, c, d;
    cpuid_allowed(1);
    __cpuid_count(leaf, sub, a, b, c, d);
    cpuid_allowed(0);
    if (leaf == 7 && sub == 0) {
        b &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31);
        c &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14);
        d &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25);
    } else if (leaf == 7 && sub == 1) {
        a &= ~(1u << 5 | 1u << 21);
    }
    r[REG_RAX] = a;
    r[REG_RBX] = b;
    r[REG_RCX] = c;
    r[REG_RDX] = d;
    r[REG_RIP] += 2;
}

__attribute__((constructor)) static void mask(void)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_fault;
    sa.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &sa, &previous);
    if (cpuid_allowed(0) != 0)
        fprintf(stderr, "cpumask: this kernel or CPU cannot trap CPUID\n");
}
