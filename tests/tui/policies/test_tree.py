from __future__ import annotations

from installer.tui.policies.tree import PolicyTarget, WorkloadTarget
from tests.support.policies import PolicyKube, policy, shop, workload
from tests.tui.policies.conftest import API, OpenShop


async def test_the_tree_tells_what_policies_do(open_shop: OpenShop) -> None:
    async with open_shop() as shop_:
        assert "no-metadata-service" in shop_.text
        lines = {" ".join(line.split()[:2]): line for line in shop_.text.splitlines()}
        assert lines["cnp api"].split()[2:] == ["ingress", "3"]
        assert "ignored by agents" in lines["cnp ignored"]
        assert "open ingress+egress" in lines["pods cart"]
        assert "3 policies, 7 pods, 4 unprotected, 1 ignored by agents" in shop_.text


async def test_a_new_policy_comes_in_and_the_cursor_stays_where_it_was(open_shop: OpenShop) -> None:
    async with open_shop() as shop_:
        shop_.screen.tree_view.mark(PolicyTarget(API))
        shop_.kube.put(policy("aaa", "cart", "frontend"))
        await shop_.sees("aaa")
        assert shop_.screen.tree_view.target == PolicyTarget(API)
        assert "4 policies" in shop_.text


async def test_a_policy_that_goes_leaves_the_cursor_near(open_shop: OpenShop) -> None:
    async with open_shop() as shop_:
        shop_.screen.tree_view.mark(PolicyTarget(API))
        from installer.ports.cluster import CILIUM_NETWORK_POLICIES

        await shop_.kube.delete(CILIUM_NETWORK_POLICIES, "api", namespace="shop")
        await shop_.sees("2 policies")
        assert shop_.screen.tree_view.target is not None


async def test_the_filter_narrows_while_typing_and_escape_ends_it(open_shop: OpenShop) -> None:
    async with open_shop() as shop_:
        await shop_.press("slash", "m", "e", "t", "a")
        await shop_.until(lambda: "ignored " not in shop_.text.split("policies,")[0])
        assert "no-metadata-service" in shop_.text
        await shop_.press("escape")
        await shop_.until(lambda: "frontend" in shop_.text)


async def test_the_cursor_passes_over_headings(open_shop: OpenShop) -> None:
    async with open_shop() as shop_:
        tree = shop_.screen.tree_view
        seen = []
        for _ in range(len(tree.source.rows)):
            seen.append(tree.target)
            tree.action_line_down()
        assert None not in seen
        for _ in range(len(tree.source.rows)):
            tree.action_line_up()
        assert tree.target == seen[0]


async def test_hits_are_counted_once_flows_are_seen(open_shop: OpenShop) -> None:
    async with open_shop() as shop_:
        assert "PODS" in shop_.text
        await shop_.open()
        await shop_.press("escape")
        await shop_.sees("HITS")


async def test_a_lost_cluster_is_told_and_edits_stay(open_shop: OpenShop) -> None:
    async with open_shop() as shop_:
        await shop_.open()
        await shop_.edit("app: cart", "app: basket")
        shop_.kube.lose("connection reset")
        await shop_.sees("The cluster does not answer; edits stay here", "connection reset")
        assert "app: basket" in shop_.editor.text
        assert [draft.title for draft in shop_.screen.desk.dirty()] == ["shop/api"]


async def test_audit_mode_of_endpoints_is_told(open_shop: OpenShop) -> None:
    closed = policy("cart", "cart", "frontend")
    closed["spec"]["egress"] = [{}]
    kube = PolicyKube(closed, pods=workload("shop", "cart"))
    for _, endpoint in kube.pods:
        endpoint["status"]["policy"] = {way: {"state": "non-enforcing"} for way in ("ingress", "egress")}
    async with open_shop(kube) as shop_:
        await shop_.sees("audit ingress+egress", "2 in audit mode")


async def test_names_are_shown_as_they_are(open_shop: OpenShop) -> None:
    hostile = policy("[red]x[/]", "api", "\x1b[31mfront")
    kube = PolicyKube(hostile, pods=workload("shop", "api"))
    async with open_shop(kube) as shop_:
        assert "[red]x[/]" in shop_.text
        await shop_.open(("CiliumNetworkPolicy", "shop", "[red]x[/]"))
        await shop_.press("f6")
        await shop_.sees("shop/[red]x[/]")
        assert "\x1b" not in shop_.text


async def test_a_cluster_without_policies(open_shop: OpenShop) -> None:
    async with open_shop(PolicyKube(pods=workload("shop", "api"))) as shop_:
        assert shop_.screen.tree_view.target == WorkloadTarget("shop", "api")
        assert "0 policies" in shop_.text


async def test_enter_on_an_open_workload_begins_the_form_for_it(open_shop: OpenShop) -> None:
    async with open_shop(shop()) as shop_:
        shop_.screen.tree_view.mark(WorkloadTarget("shop", "cart"))
        await shop_.press("enter")
        await shop_.sees("New policy", "shop/cart")
