"""The Kernel screen: what the kernel can do, and what it does with packets."""
