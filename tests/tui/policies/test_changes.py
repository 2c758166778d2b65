from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from textual.widgets import Button, Input, OptionList, Select

from installer.domain.flows.flow import Flow
from installer.ports.cluster import CILIUM_NETWORK_POLICIES
from installer.services.policies.rollout import PolicyTools
from installer.tui.policies.dialogs import ApplyDialog, ChoiceDialog, FormDialog
from tests.support.policies import PolicyKube, policy, shop, shop_flow, workload
from tests.tui.policies.conftest import API, OpenShop, Shop


def live(shop: Shop, name: str = "api") -> dict[str, Any] | None:
    return shop.kube.objects.get((CILIUM_NETWORK_POLICIES, "shop", name))


def peers(raw: dict[str, Any] | None) -> list[str]:
    assert raw is not None
    return [one["matchLabels"]["app"] for one in raw["spec"]["ingress"][0].get("fromEndpoints", ())]


def tools(shop: Shop) -> PolicyTools:
    found = shop.screen.tools
    assert found is not None
    return found


async def ask(shop: Shop) -> ApplyDialog:
    """Press F9 and return the question."""
    await shop.press("f9")
    await shop.until(lambda: isinstance(shop.pilot.app.screen, ApplyDialog) and shop.pilot.app.screen.query("#yes"))
    found = shop.pilot.app.screen
    assert isinstance(found, ApplyDialog)
    return found


async def test_apply_shows_what_it_does_then_does_it_and_rolls_back(open_shop: OpenShop) -> None:
    async with open_shop(size=(100, 40)) as shop:
        await shop.open()
        await shop.edit("app: cart", "app: basket")
        await shop.until(lambda: shop.screen.observed.model is not None and len(shop.screen.observed.model.store) == 25)
        dialog = await ask(shop)
        await shop.sees("update CiliumNetworkPolicy shop/api", "-        app: cart", "+        app: basket")
        assert "Of 25 flows seen: 5 cut, 0 opened" in shop.text
        dialog.query_one("#reason", Input).value = "carts are baskets"
        await shop.press("enter")
        await shop.until(lambda: peers(live(shop)) == ["frontend", "basket"])
        await shop.until(lambda: shop.screen.draft is not None and not shop.screen.draft.is_changed)
        shop.screen.show_view("history")
        await shop.sees("update", "carts are baskets", "ann@host")
        await shop.press("enter")
        await shop.sees("Take back", "+        app: cart")
        await shop.press("y")
        await shop.until(lambda: peers(live(shop)) == ["frontend", "cart"])


async def test_escape_applies_nothing(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.edit("app: cart", "app: basket")
        await ask(shop)
        await shop.press("escape")
        assert peers(live(shop)) == ["frontend", "cart"]
        assert tools(shop).policies(cast("Any", shop.kube)).history() == []


async def test_text_with_errors_is_not_applied(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.edit("protocol: TCP", "protocol: TPC")
        await shop.press("f9")
        await shop.sees("The text has errors", "line 19")
        assert shop.screen.view == "problems"


async def test_an_edit_of_the_same_place_is_a_conflict(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.edit("app: cart", "app: basket")
        shop.kube.put(policy("api", "api", "frontend", "shelf"))
        await shop.press("f9")
        await shop.sees("Somebody else changed CiliumNetworkPolicy shop/api meanwhile", "E-POL-021")
        assert peers(live(shop)) == ["frontend", "shelf"]


async def test_a_policy_that_cuts_dns_wants_a_word(open_shop: OpenShop) -> None:
    pods = workload("kube-system", "dns", 1, port=53)
    for pod, endpoint in pods:
        pod["metadata"]["labels"] = {"k8s-app": "kube-dns"}
        endpoint["status"]["identity"]["labels"].append("k8s:k8s-app=kube-dns")
    kube = PolicyKube(pods=[*pods, *workload("shop", "api")])
    cut = policy("closed", "api")
    cut["spec"] = {"endpointSelector": {}, "egress": [{}]}
    async with open_shop(kube, size=(100, 40)) as shop:
        from installer.domain.policy.merge import clean, to_yaml

        await shop.screen.show_draft(shop.screen.desk.new(to_yaml(clean(cut))))
        await shop.checked()
        dialog = await ask(shop)
        await shop.sees("WARNING", "resolve", "Type closed to go on")
        assert dialog.query_one("#yes", Button).disabled
        await shop.press("enter")
        assert live(shop, "closed") is None
        await shop.press(*"closed", "enter")
        await shop.until(lambda: live(shop, "closed") is not None)


async def apply_for_a_while(shop: Shop) -> None:
    await shop.open()
    await shop.edit("app: cart", "app: basket")
    dialog = await ask(shop)
    dialog.query_one("#within", Select).value = 60
    await shop.press("enter")
    await shop.until(lambda: peers(live(shop)) == ["frontend", "basket"])
    await shop.sees("goes back by itself in 60 s", "Ctrl+G")


async def test_a_change_that_is_kept_stays(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await apply_for_a_while(shop)
        assert len(tools(shop).pending().all()) == 1
        await shop.press("ctrl+g")
        await shop.sees("The change stays")
        assert tools(shop).pending().all() == []
        assert "goes back by itself" not in shop.text


async def test_a_change_that_is_taken_back(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await apply_for_a_while(shop)
        await shop.press("ctrl+t")
        await shop.until(lambda: peers(live(shop)) == ["frontend", "cart"])
        await shop.sees("The change was taken back")
        assert "basket" in shop.editor.text


async def test_new_drops_after_a_change_are_told(open_shop: OpenShop) -> None:
    async with open_shop(size=(100, 40)) as shop:
        await shop.open()
        await shop.edit("app: cart", "app: basket")
        await shop.until(lambda: shop.screen.observed.model is not None and len(shop.screen.observed.model.store) == 25)
        await ask(shop)
        await shop.press("enter")
        await shop.until(lambda: peers(live(shop)) == ["frontend", "basket"])
        model = shop.screen.observed.model
        assert model is not None
        model.intake.offer([shop_flow("cart", "api", verdict="DROPPED", second=40)])
        await shop.sees("1 connections are dropped since the change", "shop/cart > shop/api 8080/TCP")


async def test_delete_says_what_it_opens(open_shop: OpenShop) -> None:
    async with open_shop(answers=[shop_flow("cart", "api", port=9, verdict="DROPPED")], size=(100, 40)) as shop:
        await shop.open()
        await shop.until(lambda: shop.screen.observed.model is not None and len(shop.screen.observed.model.store) == 1)
        await shop.press("escape", "d")
        await shop.sees("Delete?", "delete CiliumNetworkPolicy shop/api", "Of 1 flows seen: 0 cut, 1 opened")
        await shop.press("enter")
        await shop.until(lambda: live(shop) is None)


async def test_a_recipe_of_the_cookbook(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.press("n")
        await shop.until(
            lambda: isinstance(shop.pilot.app.screen, ChoiceDialog) and shop.pilot.app.screen.query(OptionList)
        )
        await shop.press("down", "down", "enter")
        await shop.until(lambda: shop.screen.draft is not None)
        assert "namespace: shop\n" in shop.editor.text
        assert "# Let the frontend" in shop.editor.text
        await shop.checked()
        await ask(shop)
        await shop.press("enter")
        await shop.until(lambda: live(shop, "allow-frontend") is not None)


async def test_the_form_writes_yaml(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        shop.screen.ask_form("shop/cart")
        await shop.until(lambda: isinstance(shop.pilot.app.screen, FormDialog) and shop.pilot.app.screen.query("#dns"))
        dialog = shop.pilot.app.screen
        dialog.query_one("#peers", Input).value = "shop/frontend nonsense!"
        dialog.query_one("#ports", Input).value = "8080"
        await shop.press("enter")
        await shop.sees("the peer 'nonsense!' is not understood")
        dialog = shop.pilot.app.screen
        dialog.query_one("#peers", Input).value = "shop/frontend"
        dialog.query_one("#http", Input).value = "GET /items/.*"
        await shop.press("enter")
        await shop.until(lambda: shop.screen.draft is not None)
        await shop.checked()
        assert "name: cart-ingress" in shop.editor.text
        assert "path: /items/.*" in shop.editor.text
        assert shop.screen.missing_verbs() == ()
        assert shop.editor.findings_at(0) == []


def flows(*answers: Any) -> list[Flow]:
    return [one.flow for one in answers]


async def test_a_dropped_flow_leads_to_the_smallest_change(open_shop: OpenShop) -> None:
    async with open_shop(size=(100, 40)) as shop:
        shop.screen.draft_from_flows(flows(shop_flow("cart", "api", port=9090, verdict="DROPPED")))
        await shop.sees("Let it through", "add port 9090/TCP to CiliumNetworkPolicy shop/api")
        await shop.press("enter")
        await shop.sees("Diff of CiliumNetworkPolicy shop/api", "9090")
        await shop.checked()
        await ask(shop)
        await shop.press("enter")
        await shop.until(lambda: "9090" in str(live(shop)))


async def test_forwarded_flows_become_a_draft(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        shop.screen.draft_from_flows(flows(*(shop_flow("frontend", "cart", second=second) for second in range(9))))
        await shop.until(lambda: shop.screen.draft is not None and shop.screen.draft.title == "from flows")
        assert "# Drawn from 9 flows" in shop.editor.text
        assert "app: cart" in shop.editor.text


async def test_an_api_that_is_away_is_told_and_the_text_stays(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.edit("app: cart", "app: basket")
        shop.kube.away = True
        await shop.press("f9")
        await shop.sees("E-KUBE-001")
        await shop.press("escape")
        assert "app: basket" in shop.editor.text


async def test_changes_that_wait_since_before_are_shown(open_shop: OpenShop, tmp_path: Path) -> None:
    from installer.adapters.store.pending import FilePending
    from installer.ports.pending import Pending
    from tests.support.policies import NOW

    FilePending(tmp_path / "pending").add(Pending("old", NOW + 40, "", "", ("x",)))
    async with open_shop(shop()) as shop_:
        await shop_.sees("goes back by itself in 40 s")


async def test_recorded_flows_can_be_judged(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open(API)
        await shop.edit("app: cart", "app: basket")
        await shop.press("escape", "o")
        await shop.sees("Recorded flows to judge")
        await shop.press(*"flows", "full_stop", *"json", "enter")
        await shop.sees("CUT", "shop/cart > shop/api 8080/TCP", "25 of 25 flows judged")
