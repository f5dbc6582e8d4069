"""The record of a part: why it was decided so, what it is compared with, what is measured on it, and its report."""

import base64
import json
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pages import HTTP, Served, part_files, send, window

HEIGHTS = """async () => {
    const { profile, heightMap, difference, heightRange, shiftOf } = await import('/js/heights.js');
    const { pointAt } = await import('/js/relief.js');
    // five pixels in a row, 1 mm apart, 400 mm from the camera; the fourth is missing, two stand 2 mm up
    const positions = Float32Array.from([0, 0, .4, .001, 0, .4, .002, 0, .398, .004, 0, .398]);
    const plane = [0, 0, -1, 0.4];
    const cloud = { height: 1, width: 5, pixels: Uint32Array.from([0, 1, 2, 4]), positions, plane };
    const { along, heights } = profile(cloud, pointAt(cloud), { row: 0, column: 0 }, { row: 0, column: 4 });
    const map = heightMap(cloud);
    const apart = difference(map, map.map((value) => value - 0.001), 5, { rows: 0, columns: 0 });
    const shift = shiftOf({ part_x_mm: 1.2, part_y_mm: 3 }, { part_x_mm: 0, part_y_mm: 1 }, cloud);
    const shifted = difference(map, map, 5, { rows: 0, columns: 1 });
    const unknown = shiftOf({}, { part_x_mm: 1 }, cloud);
    const grids = { map: [...map], apart: [...apart], shifted: [...shifted] };
    return { along, heights, ...grids, range: heightRange(map), shift, unknown };
}"""


def test_heights_and_profiles(browser: Any, filled: Served) -> None:
    with window(browser, filled) as opened:
        told = opened.open("history").evaluate(HEIGHTS)
    assert told["along"] == pytest.approx([0, 0.001, 0.002, 0.002, 0.004], abs=1e-7)
    assert told["heights"][3] is None
    assert [told["heights"][place] for place in (0, 1, 2, 4)] == pytest.approx([0, 0, 0.002, 0.002], abs=1e-7)
    assert np.isnan(np.array(told["map"], float)).tolist() == [False, False, False, True, False]
    assert [told["apart"][place] for place in (0, 2)] == pytest.approx([0.001, 0.001], abs=1e-7)
    assert (told["shift"], told["unknown"]) == ({"rows": 2, "columns": 1}, {"rows": 0, "columns": 0})
    assert np.isnan(np.array(told["shifted"], float)).tolist() == [True, False, False, True, True]
    assert told["shifted"][1:3] == pytest.approx([0, 0.002], abs=1e-7)
    assert told["range"] == pytest.approx([0, 0.002], abs=1e-6)


@pytest.mark.timeout(120)
def test_the_record_of_a_part(browser: Any, served: Served, page_parts: Any) -> None:
    good = send(served, part_files(page_parts, "good", 0), "well made")
    chip = send(served, part_files(page_parts, "chip", 0), "chipped")
    mask = np.zeros((192, 192), np.uint8)
    mask[60:90, 60:90] = 255
    drawn = base64.b64encode(imagecodecs.png_encode(mask)).decode()
    for number, body in ((good["id"], {"verdict": "good"}), (chip["id"], {"verdict": "defect", "mask": drawn})):
        HTTP.post(f"{served.address}/v1/inspections/{number}/verdicts", json=body)
    limits = {"reject_above": 2 * chip["score"], "review_above": 0.5, "reason": "a new lamp"}
    HTTP.put(f"{served.address}/v1/classes/biscuit/threshold", json=limits)
    with window(browser, served) as opened:
        page = opened.open(f"part/{chip['id']}")
        page.locator(".view-3d[data-frames]").wait_for()
        record = page.locator(".record")
        record.get_by_text("by station").wait_for()
        rows = record.locator("tbody tr")
        assert [row.locator(".tag").inner_text() for row in rows.all()] == ["Review", "Reject"]
        record.get_by_label("Under another limit").fill(str(3 * chip["score"]))
        record.get_by_role("status").get_by_text("Review").wait_for()
        page.get_by_role("combobox", name="View 1: what is shown").select_option(label="Nearest good part")
        page.get_by_text("Nearest good part: well made").wait_for()
        page.get_by_role("combobox", name="View 3: what is shown").select_option(label="Height difference to it")
        page.get_by_text("Height less that of well made").wait_for()
        page.get_by_role("button", name="Go to the peak").click()
        page.get_by_text("Difference to the good part").wait_for()
        assert marked(page) == 0
        page.get_by_role("button", name="show the mark").click()
        page.locator(".said button[aria-pressed=true]").wait_for()
        page.wait_for_timeout(200)
        assert marked(page) > 20  # its outline, in a picture
        measure(page)
        page.get_by_role("button", name="Height", exact=True).click()
        assert "mm" in page.locator(".height-scale").inner_text()
        page.get_by_role("link", name="Report").click()
        report(page)


def marked(page: Any) -> int:
    """Pixels of the first picture in the colour of marks."""
    return int(
        page.evaluate(
            """() => {
                const canvas = document.querySelector('.tile-view canvas');
                const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
                let count = 0;
                for (let i = 0; i < data.length; i += 4) {
                    count += Math.min(data[i + 1], data[i + 2]) > data[i] + 60;
                }
                return count;
            }"""
        )
    )


def measure(page: Any) -> None:
    """Two points along a row: the ruler tells what lies between them, and the heights along it."""
    page.get_by_role("button", name="Ruler").click()
    box = page.locator(".tile-view canvas").first.bounding_box()
    places, pixels = [], []
    for share in (0.42, 0.58):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
        where = page.locator("dd", has_text="mm").first
        where.wait_for()
        pixels.append(json.loads(f"[{page.locator('[data-cursor]').get_attribute('data-cursor')}]"))
        places.append([float(value) for value in page.locator("dt:text('x, y, z') + dd").inner_text()[:-3].split(",")])
    told = page.locator("[data-distance]")
    told.wait_for()
    assert pixels[0] != pixels[1]
    apart = np.linalg.norm(np.subtract(*places))
    assert float(told.get_attribute("data-distance")) == pytest.approx(apart, abs=0.2)  # the places are told to 0.1 mm
    page.get_by_role("img", name="Profile").wait_for()


def report(page: Any) -> None:
    sheet = page.locator(".sheet")
    sheet.get_by_role("heading", name="chipped").wait_for()
    text = sheet.inner_text()
    for said in ("Reject", "Defect", "by station", "Brightness: Colour", "TRD"):
        assert said in text, said
    page.evaluate("Promise.all([...document.querySelectorAll('.sheet img')].map((one) => one.decode()))")
    assert page.locator(".sheet img").count() == 3
    page.emulate_media(media="print")
    assert page.locator(".rail").is_hidden()
    assert page.locator(".sheet").is_visible()
    assert page.pdf().startswith(b"%PDF")
