/* Packets that the kernel dropped, counted by tuple, reason and place: the tracepoint skb:kfree_skb. */
#include "tap.h"

/* 64 bytes. location: address of the code that dropped; reason: 0 where the kernel tells none. */
struct tap_drop_key {
	u64 location;
	u32 reason;
	u32 inum;
	u32 ifindex;
	u8 flags;
	u8 pad[3];
	struct tap_tuple tuple;
};

/* 40 bytes. device: name of the interface, empty where there is none. */
struct tap_drop {
	u64 packets;
	u64 bytes;
	u64 last;
	char device[16];
};

BPF_TABLE("lru_hash", struct tap_drop_key, struct tap_drop, tap_drops, TAP_DROPS);

static __always_inline int tap_read_tuple(u64 skb, struct tap_tuple *tuple, u8 *flags)
{
	u64 packet = tap_field(u64, skb, OFF_SKB_HEAD) + tap_field(u16, skb, OFF_SKB_NETWORK_HEADER);
	u64 transport;
	u8 first = tap_field(u8, packet, 0);

	if (first >> 4 == 4) {
		tuple->family = TAP_IPV4;
		tuple->protocol = tap_field(u8, packet, 9);
		tap_map_ipv4(tuple->source, tap_field(u32, packet, 12));
		tap_map_ipv4(tuple->destination, tap_field(u32, packet, 16));
		if (tap_field(u16, packet, 6) & __builtin_bswap16(0x1fff))
			return 1;
		transport = packet + (first & 15) * 4;
	} else if (first >> 4 == 6) {
		tuple->family = TAP_IPV6;
		tuple->protocol = tap_field(u8, packet, 6);
		bpf_probe_read_kernel(tuple->source, 16, (void *)(packet + 8));
		bpf_probe_read_kernel(tuple->destination, 16, (void *)(packet + 24));
		transport = packet + 40;
		if (tuple->protocol == 0) {	/* hop by hop, as multicast listeners send it */
			tuple->protocol = tap_field(u8, transport, 0);
			transport += ((u32)tap_field(u8, transport, 1) + 1) * 8;
		}
	} else {
		return 0;
	}
	if (tuple->protocol == TAP_ICMP || tuple->protocol == TAP_ICMP6) {
		tuple->source_port = tap_field(u8, transport, 0);
		tuple->destination_port = tap_field(u8, transport, 1);
	} else if (tuple->protocol == TAP_TCP || tuple->protocol == TAP_UDP || tuple->protocol == 132) {
		tuple->source_port = __builtin_bswap16(tap_field(u16, transport, 0));
		tuple->destination_port = __builtin_bswap16(tap_field(u16, transport, 2));
		if (tuple->protocol == TAP_TCP)
			*flags = tap_field(u8, transport, 13);
	}
	return 1;
}

int tap_dropped(void *context)
{
	struct tap_drop_key key = {};
	struct tap_drop fresh = {};
	struct tap_drop *drop;
	u64 device, skb = tap_field(u64, context, OFF_KFREE_SKBADDR);
	u16 protocol = tap_field(u16, context, OFF_KFREE_PROTOCOL);
	u32 length;

	if (protocol != 0x0800 && protocol != 0x86dd)
		return 0;
#ifdef OFF_KFREE_REASON
	key.reason = tap_field(u32, context, OFF_KFREE_REASON);
#endif
	if (!tap_read_tuple(skb, &key.tuple, &key.flags))
		return 0;
	device = tap_field(u64, skb, OFF_SKB_DEV);
	if (device) {
		key.inum = tap_namespace_of_net(tap_field(u64, device, OFF_DEV_NET));
		key.ifindex = tap_field(u32, device, OFF_DEV_IFINDEX);
	} else {
		u64 sock = tap_field(u64, skb, OFF_SKB_SOCK);
#ifdef OFF_KFREE_RX_SK
		if (!sock)
			sock = tap_field(u64, context, OFF_KFREE_RX_SK);
#endif
		key.inum = tap_namespace_of_sock(sock);
	}
	key.tuple.direction = tap_field(u32, skb, OFF_SKB_IIF) ? TAP_INGRESS : TAP_EGRESS;
	key.location = tap_field(u64, context, OFF_KFREE_LOCATION);
	length = tap_field(u32, skb, OFF_SKB_LEN);
	drop = tap_drops.lookup(&key);
	if (drop) {
		__sync_fetch_and_add(&drop->packets, 1);
		__sync_fetch_and_add(&drop->bytes, length);
		drop->last = bpf_ktime_get_ns();
		return 0;
	}
	fresh.packets = 1;
	fresh.bytes = length;
	fresh.last = bpf_ktime_get_ns();
	if (device)
		bpf_probe_read_kernel(fresh.device, 16, (void *)(device + OFF_DEV_NAME));
	tap_drops.update(&key, &fresh);
	return 0;
}
