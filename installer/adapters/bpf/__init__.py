"""The kernel's own word on packets: programs of ``bpf/`` in a process of their own, through the distribution's bcc."""
