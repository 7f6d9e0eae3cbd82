/* Lacks the linker's hardening, has memory that is writable and executable, and an address in its code. */
extern char elsewhere[];

__asm__(".section .both,\"awx\"\n.byte 0\n.text\n.quad elsewhere\n");

int main(void)
{
    return 0;
}
