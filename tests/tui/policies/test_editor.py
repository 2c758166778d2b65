from __future__ import annotations

import stat
from pathlib import Path

from installer.tui.policies.popup import CompletionPopup
from tests.support.policies import policy
from tests.tui.policies.conftest import API, OpenShop


async def test_what_is_wrong_is_told_while_typing_and_mended_by_a_key(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        shop.editor.go_to_line(13, 1)
        shop.editor.action_cursor_line_end()
        await shop.press("s")
        await shop.checked()
        await shop.sees("no pod meets this selector: no pod has app=frontends", "13!", "Problems 1")
        await shop.press("f7")
        await shop.checked()
        assert "app: frontend\n" in shop.editor.text
        await shop.until(lambda: "Problems 1" not in shop.text)
        await shop.press("ctrl+z")
        await shop.checked()
        assert "app: frontends\n" in shop.editor.text


async def test_f8_goes_from_problem_to_problem(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.write(shop.editor.text.replace("protocol: TCP", "protcol: TCP").replace("ingress:", "ingres:", 1))
        shop.editor.go_to_line(1)
        lines = []
        for _ in range(3):
            await shop.press("f8")
            lines.append(shop.editor.cursor_location[0] + 1)
        assert lines[0] < lines[1] or len(set(lines)) == 1
        await shop.press("shift+f8")
        assert shop.editor.cursor_location[0] + 1 in lines
        assert "error:" in shop.text


async def test_text_that_is_no_yaml_keeps_the_last_good_answer(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.press("f6")
        await shop.sees("Effect of shop/api", "shop/frontend")
        shop.screen.show_view("text")
        await shop.write(shop.editor.text + "\t broken: [")
        shop.editor.go_to_line(99)
        await shop.sees("✗")
        await shop.press("f6")
        await shop.sees("Effect of shop/api", "shop/frontend")


async def test_a_choice_of_the_problems_goes_to_its_line(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.edit("protocol: TCP", "protcol: TCP")
        shop.screen.show_view("problems")
        await shop.sees("protcol", "F7 mends it")
        await shop.press("enter")
        await shop.until(lambda: shop.screen.view == "text")
        assert "protcol" in shop.editor.document.get_line(shop.editor.cursor_location[0])


async def test_completion_of_keys_labels_and_values(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        editor = await shop.open()
        popup = shop.screen.query_one(CompletionPopup)
        await shop.write(editor.text.replace("        app: cart", "        "))
        editor.go_to_line(15, 9)
        await shop.press("ctrl+space")
        assert [one.label for one in popup.proposals][:1] == ["app"]
        assert popup.proposals[0].detail == "6 pods"
        await shop.press("tab")
        await shop.until(lambda: "app: " in editor.document.get_line(14))
        await shop.until(lambda: popup.is_open)
        assert {one.label: one.detail for one in popup.proposals} == {
            "api": "3 pods",
            "frontend": "2 pods",
            "cart": "1 pod",
        }
        await shop.press("c")
        await shop.until(lambda: [one.label for one in popup.proposals] == ["cart"])
        await shop.press("enter")
        await shop.until(lambda: editor.document.get_line(14) == "        app: cart")
        assert not popup.is_open


async def test_escape_closes_the_list_and_then_leaves_the_text(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        editor = await shop.open()
        editor.go_to_line(19, 1)
        await shop.press("ctrl+space")
        assert shop.screen.query_one(CompletionPopup).is_open
        await shop.press("escape")
        await shop.until(lambda: not shop.screen.query_one(CompletionPopup).is_open)
        assert editor.has_focus
        await shop.press("escape")
        await shop.until(lambda: shop.screen.view == "policies")


async def test_enter_keeps_the_indentation(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        editor = await shop.open()
        editor.go_to_line(6, 6)
        await shop.press("enter", "x")
        assert editor.document.get_line(6) == "  x"
        editor.go_to_line(13, 40)
        await shop.press("enter", "y")
        assert editor.document.get_line(13).startswith("      ")
        await shop.press("shift+tab")
        assert editor.document.get_line(13).endswith("y")


async def test_edits_outlive_a_change_of_area_and_of_policy(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.edit("app: cart", "app: basket")
        await shop.press("escape")
        await shop.open(("CiliumNetworkPolicy", "shop", "ignored"))
        await shop.pilot.app.switch_mode("setup")
        await shop.pilot.app.switch_mode("policies")
        shop.screen.show_view("policies")
        await shop.sees("* cnp    api")
        await shop.open()
        assert "app: basket" in shop.editor.text


async def test_closing_asks_where_edits_would_be_lost(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.edit("app: cart", "app: basket")
        await shop.press("ctrl+w")
        await shop.sees("Close shop/api?")
        await shop.press("escape")
        assert "app: basket" in shop.editor.text
        await shop.press("ctrl+w")
        await shop.sees("Lose them")
        await shop.press("y")
        await shop.until(lambda: shop.screen.draft is None)
        await shop.open()
        assert "app: cart" in shop.editor.text


async def test_quitting_asks_where_edits_would_be_lost(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.edit("app: cart", "app: basket")
        await shop.press("escape", "q")
        await shop.sees("Quit without saving?", "would be lost: shop/api")
        await shop.press("escape")
        assert shop.pilot.app.is_running


async def test_closing_what_was_not_edited_does_not_ask(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await shop.open()
        await shop.press("ctrl+w")
        await shop.until(lambda: shop.screen.draft is None)
        assert shop.screen.desk.drafts == {}


async def test_a_change_in_the_cluster_below_is_told(open_shop: OpenShop) -> None:
    async with open_shop(size=(120, 36)) as shop:
        await shop.open()
        shop.kube.put(policy("api", "api", "frontend"))
        await shop.sees("changed in the cluster meanwhile")
        assert API in shop.screen.desk.changed_below(shop.screen.desk.drafts["/".join(API)])


async def test_what_is_not_allowed_is_greyed_and_named(open_shop: OpenShop) -> None:
    from tests.support.policies import shop as a_shop

    kube = a_shop()
    kube.forbidden = {"update", "delete"}
    async with open_shop(kube, size=(120, 36)) as shop:
        await shop.open()
        await shop.sees("read only: you may not update CiliumNetworkPolicy in shop")
        assert shop.screen.check_action("apply", ()) is None
        await shop.press("f9")
        assert len(shop.pilot.app.screen_stack) == 1
        shop.screen.show_view("policies")
        await shop.press("d")
        await shop.sees("You may not delete CiliumNetworkPolicy in shop")


async def test_the_users_own_editor(open_shop: OpenShop, tmp_path: Path) -> None:
    script = tmp_path / "edit"
    script.write_text("#!/bin/sh\nsed -i 's/app: cart/app: basket/' \"$1\"\n")
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    async with open_shop() as shop:
        await shop.open()
        edited: list[str] = []

        async def edit_file(path: str) -> None:
            """The terminal of a test cannot be handed over; the program runs all the same."""
            import asyncio

            process = await asyncio.create_subprocess_exec(str(script), path)
            await process.wait()
            edited.append(path)

        shop.pilot.app.edit_file = edit_file  # type: ignore[attr-defined]
        await shop.press("ctrl+o")
        await shop.until(lambda: "app: basket" in shop.editor.text)
        assert not Path(edited[0]).exists()
