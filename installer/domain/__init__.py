"""Pure core: specification, plan, events, readiness, diagnosis, values. No I/O, no clock, no asyncio."""
