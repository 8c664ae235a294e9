"""Tiny networks, and what the tests of several modules compare."""

import math

import torch
import torchvision
from torch import Tensor, nn

torch.set_num_threads(1)

MAP_LAYER = "features.5"  # the last ReLU of TinyNet
CONVOLUTION = "features.4"  # the convolution in front of it


class TinyNet(nn.Module):
    """Two convolutions that end in a 4x4 map for images of 8x8, and a head that pools or one that flattens."""

    def __init__(self, pooled: bool = True, inplace: bool = False, n_classes: int = 5, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(inplace),
        )
        if pooled:
            head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, n_classes)]
        else:
            head = [nn.Flatten(), nn.Linear(128, 12), nn.ReLU(inplace), nn.Dropout(0.5)]
            head += [nn.Linear(12, n_classes)]
        self.head = nn.Sequential(*head)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


class Counter:
    """How often a module is called while it is a forward pre-hook's target."""

    def __init__(self, module: nn.Module):
        self.calls = 0
        module.register_forward_pre_hook(self._count)

    def _count(self, module: nn.Module, inputs: tuple) -> None:
        self.calls += 1


def tiny_images(n: int = 2, size: int = 8, seed: int = 1) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def random_net(name):
    """A network with random weights that keep the size of its activations from layer to layer.

    The library's own initialization takes many seconds for VGG-16, and leaves maps near 1e-8, where the
    constants that other libraries add to their denominators would count.
    """
    with torch.device("meta"):
        options = {"init_weights": False} if name == "googlenet" else {}
        net = torchvision.models.get_model(name, weights=None, **options)
    net.to_empty(device="cpu").eval()
    torch.manual_seed(0)
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            bound = math.sqrt(6 / part.weight[0].numel())
            nn.init.uniform_(part.weight, -bound, bound)
            if part.bias is not None:
                nn.init.uniform_(part.bias, -0.1, 0.1)
        elif isinstance(part, nn.BatchNorm2d):
            part.reset_parameters()
            part.reset_running_stats()
    return net


def reference_maps(model: nn.Module, layer: nn.Module, images: Tensor, class_index: int) -> Tensor:
    """Grad-CAM by its definition with loops: one image at a time, a full graph, no hook of ours."""
    maps = []
    for image in images:
        kept = []
        handle = layer.register_forward_hook(lambda module, inputs, output, kept=kept: kept.append(output))
        with torch.enable_grad():
            score = model(image[None].clone().requires_grad_())[0, class_index]
        handle.remove()
        (gradient,) = torch.autograd.grad(score, kept[0])
        total = torch.zeros_like(kept[0][0, 0])
        for channel, g in zip(kept[0][0], gradient[0], strict=True):
            total += g.sum() / g.numel() * channel
        maps.append(total.detach())
    return torch.stack(maps)


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest expected value."""
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return ((found - expected).abs().max() / expected.abs().max()).item()
