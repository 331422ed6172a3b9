"""What the tests share: draws and a comparison in double precision."""

import torch

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=generator(seed))


def parameter(*values):
    return torch.tensor(values, dtype=F64, requires_grad=True)


def close(a, b, rtol=1e-9, atol=1e-12):
    torch.testing.assert_close(
        torch.as_tensor(a, dtype=F64), torch.as_tensor(b, dtype=F64), rtol=rtol, atol=atol
    )
