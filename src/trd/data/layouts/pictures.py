"""Data sets of pictures and masks that lie as the general reader takes them: it needs their names only."""

from __future__ import annotations

from pathlib import Path

from trd.data.layouts.base import Layout
from trd.data.layouts.folder import holds_files


def _is_mvtec_ad(folder: Path) -> bool:
    """CLASS/train/good/STEM.png, CLASS/test/KIND/STEM.png, CLASS/ground_truth/KIND/STEM_mask.png; MPDD has the same."""
    good = folder / "train" / "good"
    return good.is_dir() and holds_files(good) and _kinds(folder / "ground_truth") != []


def _is_mvtec_loco(folder: Path) -> bool:
    """As MVTec AD, with CLASS/validation/good, and several masks per picture: ground_truth/KIND/STEM/000.png."""
    return _is_mvtec_ad(folder) and any(_kinds(kind) for kind in _kinds(folder / "ground_truth"))


def _is_mvtec_ad_2(folder: Path) -> bool:
    """CLASS/{train,validation}/good, CLASS/test_public/{good,bad}, test_public/ground_truth/bad/STEM_mask.png.

    CLASS/test_private and test_private_mixed have no labels. Of the published description, not tried on the download.
    """
    return (folder / "train" / "good").is_dir() and (folder / "test_public" / "bad").is_dir()


def _is_btad(folder: Path) -> bool:
    """CLASS/train/ok/STEM, CLASS/test/{ok,ko}/STEM, CLASS/ground_truth/ko/STEM. Not tried on the download."""
    return (folder / "train" / "ok").is_dir() and (folder / "test" / "ko").is_dir()


def _kinds(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []


MVTEC_AD = Layout("MVTec AD (MPDD has the same)", _is_mvtec_ad)
MVTEC_LOCO = Layout("MVTec LOCO AD", _is_mvtec_loco)
MVTEC_AD_2 = Layout("MVTec AD 2", _is_mvtec_ad_2, set_aside=lambda path: path.parts[0].startswith("test_private"))
BTAD = Layout("BTAD", _is_btad)
