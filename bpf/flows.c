/* Flows of all sockets, counted in the kernel: cgroup_skb at the root of cgroup2, both directions. */
#include "tap.h"

/* 48 bytes. netns: the cookie of the socket's network namespace, or the address of its struct net. */
struct tap_flow_key {
	u64 netns;
	struct tap_tuple tuple;
};

/*
 * 96 bytes: with key and header an entry of the table is three cache lines, and what each packet changes lies in one.
 * bytes: what would go over a wire, IP headers included; payload: without headers. first: nanoseconds;
 * began, last: the first and the last packet in ticks (jiffies), which a program reads in 1 ns, a clock in 14. Of the
 * last one only the lower half.
 */
struct tap_flow {
	u64 packets;
	u64 bytes;
	u64 payload;
	u32 last;
	u8 flags;
	u8 reply;
	u16 pad;
	u64 first;
	u64 began;
	u64 cgroup;
	u32 inum;
	u32 pid;
	char comm[16];
	u64 pad2;
};

BPF_TABLE("lru_hash", struct tap_flow_key, struct tap_flow, tap_flows, TAP_FLOWS);

struct tap_window {
	u64 began;
	u64 created;
};
BPF_PERCPU_ARRAY(tap_windows, struct tap_window, 1);
BPF_PERCPU_ARRAY(tap_scratch, u64, 1);

/* Whether one more flow may be made: a flood of new flows costs an insertion each, which is 10 times an update. */
static __always_inline int tap_may_create(u64 now)
{
	u32 zero = 0;
	struct tap_window *window = tap_windows.lookup(&zero);

	if (!window)
		return 0;
	if (now - window->began > 100000000ULL) {
		window->began = now;
		window->created = 0;
	}
	return window->created++ < TAP_NEW_FLOWS / 10;
}

/* The socket as a number: the verifier forbids to read behind a socket's pointer, so it goes through a map. */
static __always_inline u64 tap_sock_of(struct __sk_buff *skb)
{
	u32 zero = 0;
	volatile u64 *scratch = tap_scratch.lookup(&zero);
	struct bpf_sock *sock = skb->sk;

	if (!sock || !scratch)
		return 0;
	*scratch = (u64)sock;
	return *scratch;
}

static __always_inline u64 tap_netns(struct __sk_buff *skb)
{
#ifdef TAP_NETNS_COOKIE
	return bpf_get_netns_cookie(skb);
#else
	u64 sock = tap_sock_of(skb);

	return sock ? tap_field(u64, sock, OFF_SOCK_NET) : 0;
#endif
}

/* Fills the tuple from the packet; returns the length of all headers, or 0 where they cannot be read. */
static __always_inline u32 tap_parse(struct __sk_buff *skb, struct tap_tuple *tuple, u8 *flags)
{
	u8 *data = (u8 *)(long)skb->data;
	u8 *end = (u8 *)(long)skb->data_end;
	u8 *transport;
	u32 headers;

	if (skb->protocol == __builtin_bswap16(0x0800)) {
		if (data + 20 > end)
			return 0;
		headers = (data[0] & 15) * 4;
		if (headers < 20)
			return 0;
		tuple->family = TAP_IPV4;
		tuple->protocol = data[9];
		tap_map_ipv4(tuple->source, *(u32 *)(data + 12));
		tap_map_ipv4(tuple->destination, *(u32 *)(data + 16));
		if (*(u16 *)(data + 6) & __builtin_bswap16(0x1fff))
			return headers;	/* a later fragment has no ports */
		transport = data + headers;
	} else {
		if (data + 40 > end)
			return 0;
		tuple->family = TAP_IPV6;
		tuple->protocol = data[6];
		__builtin_memcpy(tuple->source, data + 8, 16);
		__builtin_memcpy(tuple->destination, data + 24, 16);
		transport = data + 40;
#pragma unroll
		for (int i = 0; i < 3; i++) {
			u8 kind = tuple->protocol;

			if (kind != 0 && kind != 43 && kind != 60 && kind != 44)
				break;
			if (transport + 8 > end)
				return transport - data;
			tuple->protocol = transport[0];
			if (kind == 44) {
				if (*(u16 *)(transport + 2) & __builtin_bswap16(0xfff8))
					return transport + 8 - data;
				transport += 8;
			} else {
				transport += ((u32)transport[1] + 1) * 8;
			}
		}
	}
	headers = transport - data;
	if (transport + 8 > end)
		return headers;
	if (tuple->protocol == TAP_ICMP || tuple->protocol == TAP_ICMP6) {
		tuple->source_port = transport[0];
		tuple->destination_port = transport[1];
		return headers + 8;
	}
	if (tuple->protocol != TAP_TCP && tuple->protocol != TAP_UDP && tuple->protocol != 132)
		return headers;
	tuple->source_port = __builtin_bswap16(*(u16 *)transport);
	tuple->destination_port = __builtin_bswap16(*(u16 *)(transport + 2));
	if (tuple->protocol != TAP_TCP)
		return headers + (tuple->protocol == TAP_UDP ? 8 : 12);
	if (transport + 20 > end)
		return headers + 20;
	*flags = transport[13];
	return headers + (transport[12] >> 4) * 4;
}

/* Whether the other side spoke first: by the handshake, by the kind of ICMP, else by which direction was seen before. */
static __always_inline u8 tap_is_reply(struct tap_flow_key *key, u8 flags)
{
	struct tap_flow_key back = {};
	struct tap_flow *other;

	if (key->tuple.protocol == TAP_TCP && (flags & 2))
		return (flags & 16) != 0;
	if (key->tuple.protocol == TAP_ICMP)
		return key->tuple.source_port == 0;
	if (key->tuple.protocol == TAP_ICMP6)
		return key->tuple.source_port == 129;
	back.netns = key->netns;
	__builtin_memcpy(back.tuple.source, key->tuple.destination, 16);
	__builtin_memcpy(back.tuple.destination, key->tuple.source, 16);
	back.tuple.source_port = key->tuple.destination_port;
	back.tuple.destination_port = key->tuple.source_port;
	back.tuple.protocol = key->tuple.protocol;
	back.tuple.family = key->tuple.family;
	back.tuple.direction = key->tuple.direction == TAP_EGRESS ? TAP_INGRESS : TAP_EGRESS;
	other = tap_flows.lookup(&back);
	return other && !other->reply;
}

static __always_inline void tap_name_process(struct tap_flow *flow, struct tap_tuple *tuple)
{
	/* Only what is sent from a system call runs in its sender: opening segments, datagrams. */
	if (tuple->direction != TAP_EGRESS || (tuple->protocol == TAP_TCP && (flow->flags & 18) != 2))
		return;
#ifdef TAP_PID
	flow->pid = bpf_get_current_pid_tgid() >> 32;
#endif
#ifdef TAP_COMM
	bpf_get_current_comm(flow->comm, sizeof(flow->comm));
#endif
}

#ifdef TAP_WITH_DNS
struct tap_dns_event {
	u8 kind;
	u8 pad[3];
	u32 inum;
	u64 time;
	u64 cgroup;
	struct tap_tuple tuple;
	u32 pid;
	u16 length;
	u8 reply;
	u8 pad2;
	u8 payload[512];
};

static __always_inline void tap_tell_dns(struct __sk_buff *skb, struct tap_tuple *tuple, u32 headers)
{
	struct tap_dns_event *event;
	u32 length = skb->len - headers;
	u64 size;

	if (length < 12 || length > 65535)
		return;
	event = tap_events.ringbuf_reserve(sizeof(*event));
	if (!event) {
		tap_count(TAP_EVENTS_LOST);
		return;
	}
	event->kind = TAP_EVENT_DNS;
	event->inum = tap_namespace_of_sock(tap_sock_of(skb));
	event->time = bpf_ktime_get_ns();
	event->cgroup = bpf_skb_cgroup_id(skb);
	event->tuple = *tuple;
	event->pid = 0;
	event->reply = tuple->source_port == 53;
#ifdef TAP_PID
	if (tuple->direction == TAP_EGRESS)
		event->pid = bpf_get_current_pid_tgid() >> 32;
#endif
	size = length > 512 ? 512 : length;
	event->length = size;
	/* 1 to 512, in a form that the verifier follows */
	asm volatile("%0 += -1" : "+r"(size));
	asm volatile("%0 &= 511" : "+r"(size));
	asm volatile("%0 += 1" : "+r"(size));
	if (bpf_skb_load_bytes(skb, headers, event->payload, size)) {
		tap_events.ringbuf_discard(event, 0);
		return;
	}
	tap_events.ringbuf_submit(event, 0);
}
#endif

static __always_inline void tap_add(struct tap_flow *flow, u64 bytes, u64 segments, u64 payload, u8 flags, u64 ticks)
{
	__sync_fetch_and_add(&flow->packets, segments);
	__sync_fetch_and_add(&flow->bytes, bytes);
	__sync_fetch_and_add(&flow->payload, payload);
	flow->last = ticks;
	if ((flow->flags | flags) != flow->flags)
		flow->flags |= flags;
}

static __always_inline void tap_create(struct __sk_buff *skb, struct tap_flow_key *key, u64 bytes, u64 segments,
				       u64 payload, u8 flags, u64 ticks)
{
	struct tap_flow fresh = {};
	struct tap_flow *other;
	u64 now = bpf_ktime_get_ns();

	if (!tap_may_create(now)) {
		tap_count(TAP_SHED);
		return;
	}
	fresh.packets = segments;
	fresh.bytes = bytes;
	fresh.payload = payload;
	fresh.first = now;
	fresh.began = ticks;
	fresh.last = ticks;
	fresh.flags = flags;
	fresh.cgroup = bpf_skb_cgroup_id(skb);
	fresh.inum = tap_namespace_of_sock(tap_sock_of(skb));
	fresh.reply = tap_is_reply(key, flags);
	tap_name_process(&fresh, &key->tuple);
	if (!tap_flows.insert(key, &fresh)) {
		tap_count(TAP_CREATED);
		return;
	}
	/* Another processor was quicker with a packet of the same flow. */
	other = tap_flows.lookup(key);
	if (other)
		tap_add(other, bytes, segments, payload, flags, ticks);
	else
		tap_count(TAP_SHED);
}

static __always_inline void tap_account(struct __sk_buff *skb, u8 direction)
{
	struct tap_flow_key key = {};
	struct tap_flow *flow;
	u8 flags = 0;
	u64 ticks, payload, segments, bytes = skb->len;
	u32 headers = tap_parse(skb, &key.tuple, &flags);

	if (!headers) {
		tap_count(TAP_UNREAD);
		return;
	}
	key.netns = tap_netns(skb);
	key.tuple.direction = direction;
	payload = bytes > headers ? bytes - headers : 0;
	segments = skb->gso_segs;
	if (segments > 1)
		bytes += (segments - 1) * headers;
	else
		segments = 1;
	ticks = bpf_jiffies64();
	flow = tap_flows.lookup(&key);
	if (__builtin_expect(!!flow, 1)) {
		tap_add(flow, bytes, segments, payload, flags, ticks);
	} else {
		tap_create(skb, &key, bytes, segments, payload, flags, ticks);
	}
#ifdef TAP_WITH_DNS
	if (key.tuple.protocol == TAP_UDP && (key.tuple.destination_port == 53 || key.tuple.source_port == 53))
		tap_tell_dns(skb, &key.tuple, headers);
#endif
}

int tap_egress(struct __sk_buff *skb)
{
	tap_account(skb, TAP_EGRESS);
	return 1;
}

int tap_ingress(struct __sk_buff *skb)
{
	tap_account(skb, TAP_INGRESS);
	return 1;
}
