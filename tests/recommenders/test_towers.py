import pytest
import torch

from recsae_core.recommenders import build
from recsae_core.recommenders.base import Cases
from recsae_core.recommenders.cases import of_users

from .contract import N_ITEMS, SplitContract

N_USERS = 12
SITES = ("user", "item", "user+item")


def tower(name, **options):
    g = torch.Generator().manual_seed(4)
    model = build(name, n_items=N_ITEMS, n_users=N_USERS, d=6, generator=g, **options)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.5 * torch.randn(p.shape, generator=g))
    return model.eval()


class Towers(SplitContract):
    @pytest.fixture(params=SITES)
    def site(self, request):
        return request.param

    @pytest.fixture
    def cases(self):
        return of_users(torch.tensor([3, 0, 11, 3, 7]))

    @pytest.mark.parametrize("user", [-1, N_USERS])
    def test_refuses_users_it_does_not_have(self, model, cases, user):
        unknown = Cases(torch.tensor([0, user]), cases.history[:2])
        for ask in (model, lambda c: model.before("user", c), lambda c: model.paired(c.user, c.user)):
            with pytest.raises(ValueError, match=r"users holds .* expected 0 to 11"):
                ask(unknown)


class TestMF(Towers):
    @pytest.fixture
    def model(self):
        return tower("mf")


class TestNCF(Towers):
    @pytest.fixture(params=[(64, 32, 16), (5,)])
    def model(self, request):
        return tower("ncf", hidden=request.param)
