/* Lacks what the linker's options would give it, has memory that may be written and run, and an address in its code. */
extern char elsewhere[];

__asm__(".section .both,\"awx\"\n.byte 0\n.text\n.quad elsewhere\n");

int main(void)
{
    return 0;
}
