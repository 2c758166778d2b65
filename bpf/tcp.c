/* Lives of TCP connections, retransmits and resets: stable tracepoints, one event each. */
#include "tap.h"

#define TAP_CONNECTED 1
#define TAP_FAILED 2
#define TAP_ACCEPTED 3
#define TAP_CLOSED 4
#define TAP_RETRANSMIT 5
#define TAP_RESET_SENT 6
#define TAP_RESET_RECEIVED 7
#define TAP_STATE_ESTABLISHED 1
#define TAP_STATE_SYN_SENT 2
#define TAP_STATE_SYN_RECV 3
#define TAP_STATE_CLOSE 7

/* 96 bytes. duration: connect latency, or life of a connection that is closed, in nanoseconds. */
struct tap_tcp_event {
	u8 kind;
	u8 what;
	u8 state;
	u8 pad;
	u32 inum;
	u64 time;
	u64 duration;
	struct tap_tuple tuple;
	u32 pid;
	u32 reason;
	char comm[16];
	u64 pad2;
};

struct tap_start {
	u64 time;
	u32 pid;
	u32 pad;
	char comm[16];
};
BPF_TABLE("lru_hash", u64, struct tap_start, tap_starts, TAP_CONNECTIONS);

static __always_inline struct tap_tcp_event *tap_new_event(u8 what)
{
	struct tap_tcp_event *event = tap_events.ringbuf_reserve(sizeof(*event));

	if (!event) {
		tap_count(TAP_EVENTS_LOST);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->kind = TAP_EVENT_TCP;
	event->what = what;
	event->time = bpf_ktime_get_ns();
	event->tuple.protocol = TAP_TCP;
	return event;
}

/* Reads both addresses of a tracepoint: the four byte ones where the family says so. */
static __always_inline void tap_addresses(struct tap_tuple *tuple, void *context, u16 family, u32 v4, u32 v6)
{
	if (family == 2) {
		tuple->family = TAP_IPV4;
		tap_map_ipv4(tuple->source, tap_field(u32, context, v4));
		tap_map_ipv4(tuple->destination, tap_field(u32, context, v4 + 4));
	} else {
		tuple->family = TAP_IPV6;
		bpf_probe_read_kernel(tuple->source, 16, (void *)((u64)context + v6));
		bpf_probe_read_kernel(tuple->destination, 16, (void *)((u64)context + v6 + 16));
	}
}

int tap_state(void *context)
{
	u64 sock = tap_field(u64, context, OFF_STATE_SKADDR);
	u32 before = tap_field(u32, context, OFF_STATE_OLD), after = tap_field(u32, context, OFF_STATE_NEW);
	struct tap_tcp_event *event;
	struct tap_start *start, fresh = {};
	u8 what = 0;

	if (tap_field(u16, context, OFF_STATE_PROTOCOL) != TAP_TCP)
		return 0;
	if (after == TAP_STATE_SYN_SENT || (after == TAP_STATE_ESTABLISHED && before == TAP_STATE_SYN_RECV)) {
		fresh.time = bpf_ktime_get_ns();
		if (after == TAP_STATE_SYN_SENT) {
			fresh.pid = bpf_get_current_pid_tgid() >> 32;
			bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
		}
		tap_starts.update(&sock, &fresh);
	}
	if (after == TAP_STATE_ESTABLISHED)
		what = before == TAP_STATE_SYN_SENT ? TAP_CONNECTED : before == TAP_STATE_SYN_RECV ? TAP_ACCEPTED : 0;
	else if (after == TAP_STATE_CLOSE)
		what = before == TAP_STATE_SYN_SENT ? TAP_FAILED : before == 10 ? 0 : TAP_CLOSED;
	if (!what)
		return 0;
	event = tap_new_event(what);
	if (!event)
		return 0;
	event->state = before;
	event->inum = tap_namespace_of_sock(sock);
	event->tuple.source_port = tap_field(u16, context, OFF_STATE_SPORT);
	event->tuple.destination_port = tap_field(u16, context, OFF_STATE_DPORT);
	tap_addresses(&event->tuple, context, tap_field(u16, context, OFF_STATE_FAMILY), OFF_STATE_SADDR, OFF_STATE_SADDR_V6);
	start = tap_starts.lookup(&sock);
	if (start) {
		event->duration = what == TAP_ACCEPTED ? 0 : event->time - start->time;
		event->pid = start->pid;
		__builtin_memcpy(event->comm, start->comm, sizeof(event->comm));
	}
	if (what == TAP_CLOSED || what == TAP_FAILED)
		tap_starts.delete(&sock);
	tap_events.ringbuf_submit(event, 0);
	return 0;
}

int tap_retransmit(void *context)
{
	struct tap_tcp_event *event = tap_new_event(TAP_RETRANSMIT);

	if (!event)
		return 0;
	event->state = tap_field(u32, context, OFF_RETRANSMIT_STATE);
	event->inum = tap_namespace_of_sock(tap_field(u64, context, OFF_RETRANSMIT_SKADDR));
	event->tuple.source_port = tap_field(u16, context, OFF_RETRANSMIT_SPORT);
	event->tuple.destination_port = tap_field(u16, context, OFF_RETRANSMIT_DPORT);
	event->tuple.direction = TAP_EGRESS;
	tap_addresses(&event->tuple, context, tap_field(u16, context, OFF_RETRANSMIT_FAMILY), OFF_RETRANSMIT_SADDR,
		      OFF_RETRANSMIT_SADDR_V6);
	tap_events.ringbuf_submit(event, 0);
	return 0;
}

#ifdef TAP_RESET_SOCKADDR
/* From 6.10 on the addresses are those of struct sockaddr_in and sockaddr_in6. */
static __always_inline void tap_sockaddr(void *context, u32 offset, u8 *address, u16 *port, u8 *family)
{
	u16 kind = tap_field(u16, context, offset);

	*port = __builtin_bswap16(tap_field(u16, context, offset + 2));
	*family = kind == 2 ? TAP_IPV4 : TAP_IPV6;
	if (kind == 2)
		tap_map_ipv4(address, tap_field(u32, context, offset + 4));
	else
		bpf_probe_read_kernel(address, 16, (void *)((u64)context + offset + 8));
}
#endif

int tap_reset_sent(void *context)
{
	struct tap_tcp_event *event = tap_new_event(TAP_RESET_SENT);
	u64 sock, skb, device;

	if (!event)
		return 0;
	event->state = tap_field(u32, context, OFF_SENT_STATE);
	sock = tap_field(u64, context, OFF_SENT_SKADDR);
	skb = tap_field(u64, context, OFF_SENT_SKBADDR);
	event->inum = tap_namespace_of_sock(sock);
	if (!sock && skb) {
		device = tap_field(u64, skb, OFF_SKB_DEV);
		event->inum = device ? tap_namespace_of_net(tap_field(u64, device, OFF_DEV_NET)) : 0;
	}
	event->tuple.direction = TAP_EGRESS;
#ifdef OFF_SENT_REASON
	event->reason = tap_field(u32, context, OFF_SENT_REASON);
#endif
#ifdef TAP_RESET_SOCKADDR
	tap_sockaddr(context, OFF_SENT_SADDR, event->tuple.source, &event->tuple.source_port, &event->tuple.family);
	tap_sockaddr(context, OFF_SENT_DADDR, event->tuple.destination, &event->tuple.destination_port, &event->tuple.family);
#else
	event->tuple.source_port = tap_field(u16, context, OFF_SENT_SPORT);
	event->tuple.destination_port = tap_field(u16, context, OFF_SENT_DPORT);
	tap_addresses(&event->tuple, context, tap_field(u16, context, OFF_SENT_FAMILY), OFF_SENT_SADDR, OFF_SENT_SADDR_V6);
#endif
	tap_events.ringbuf_submit(event, 0);
	return 0;
}

int tap_reset_received(void *context)
{
	struct tap_tcp_event *event = tap_new_event(TAP_RESET_RECEIVED);

	if (!event)
		return 0;
	event->inum = tap_namespace_of_sock(tap_field(u64, context, OFF_RECEIVED_SKADDR));
	event->tuple.source_port = tap_field(u16, context, OFF_RECEIVED_SPORT);
	event->tuple.destination_port = tap_field(u16, context, OFF_RECEIVED_DPORT);
	event->tuple.direction = TAP_INGRESS;
	tap_addresses(&event->tuple, context, tap_field(u16, context, OFF_RECEIVED_FAMILY), OFF_RECEIVED_SADDR,
		      OFF_RECEIVED_SADDR_V6);
	tap_events.ringbuf_submit(event, 0);
	return 0;
}
