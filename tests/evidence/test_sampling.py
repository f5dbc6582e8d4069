"""The order of the training parts; `tests/training/test_processes.py` shares it among processes."""

from trd.evidence.reverse_distillation.training.sampling import EpochShuffle


def test_epoch_order_depends_on_seed_and_epoch_alone() -> None:
    sampler = EpochShuffle(20, seed=3)
    sampler.set_epoch(7)
    seventh = list(sampler)
    assert sorted(seventh) == list(range(20))
    assert list(sampler) == seventh
    sampler.set_epoch(8)
    assert list(sampler) != seventh
