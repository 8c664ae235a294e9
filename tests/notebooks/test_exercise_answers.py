"""Right answers in many styles must be accepted, and wrong ones be told what is wrong with them and nothing else.

The right ones are written from the statements alone: loops, einsum, numpy, lists, numbers of any kind. An answer is
an expression of the answer's parameters, or a whole function.
"""

# ruff: noqa: E501 - an answer is a line, as learners write them
from __future__ import annotations

import collections
import contextlib
import fractions
import functools
import importlib
import inspect
import itertools
import math
import pkgutil
import textwrap

import numpy as np
import pytest
import torch
from scipy import ndimage, special
from torch.nn import functional as F

from course_utils import exercises
from course_utils.exercises import CORRECT, WRONG, Exercise
from course_utils.explain import grad_cam
from course_utils.failures import CONTEXT, NEIGHBOR, NOWHERE, OTHER, STRANGER

EXERCISES = {
    f"{module.name[2:4]}-{name}": exercise
    for module in pkgutil.iter_modules(exercises.__path__)
    if module.name.startswith("ex") and module.name[2:4].isdigit()
    for name, exercise in vars(importlib.import_module(f"course_utils.exercises.{module.name}")).items()
    if isinstance(exercise, Exercise)
}

KNOWN = {
    **{m.__name__: m for m in (collections, contextlib, fractions, functools, itertools, math, torch)},
    **{"np": np, "F": F, "ndimage": ndimage, "special": special, "grad_cam": grad_cam},
    "exercises": exercises,
    **{"NEIGHBOR": NEIGHBOR, "STRANGER": STRANGER, "OTHER": OTHER, "CONTEXT": CONTEXT, "NOWHERE": NOWHERE},
}

# ---------------------------------------------------------------- the answers
RIGHT = {
    "00-chance": """
        1 / 8
        (112 / 224) * (56 / 224)
        fractions.Fraction(1, 8)
        torch.tensor([0.125])
        np.float32(0.125)
    """,
    "00-share_of_energy": """
        (heat * mask).sum() / heat.sum()
        float(heat[mask].sum()) / float(heat.sum())
        torch.where(mask, heat, 0).sum() / heat.sum()
        (heat.numpy()[mask.numpy()].sum() / heat.numpy().sum()).item()
        (heat / heat.sum())[mask].sum().reshape(1)
        heat.flatten() @ mask.flatten().float() / heat.sum()
        torch.einsum("ij,ij->", heat / heat.sum(), mask.float())
        sum(v for v, m in zip(heat.flatten().tolist(), mask.flatten().tolist()) if m) / sum(heat.flatten().tolist())
        np.average(mask.numpy(), weights=heat.numpy())
    """,
    "00-most_probable": """
        [(names[i], p) for p, i in zip(*(t.tolist() for t in logits.softmax(0).topk(top)))]
        sorted(zip(names, special.softmax(logits.numpy())), key=lambda pair: -pair[1])[:top]
        [[names[i], logits.softmax(0)[i]] for i in logits.topk(top).indices]
        tuple((names[int(i)], logits.softmax(0)[i].item()) for i in np.argsort(-logits.numpy())[:top])
        dict(sorted(zip(names, logits.softmax(0)), key=lambda pair: pair[1], reverse=True)[:top]).items()
        ---
        def answer(logits, names, top):
            powers = torch.exp(logits)
            total, found = 0, []
            for power in powers:
                total += power
            rest = list(range(len(names)))
            for _ in range(top):
                best = max(rest, key=lambda i: powers[i])
                rest.remove(best)
                found.append((names[best], powers[best : best + 1] / total))
            return found
    """,
    "01-output_size": """
        int((n + 2 * p - f) / s) + 1
        math.floor((n + 2 * p - f) / s + 1)
        (n + 2 * p - f + s) // s
        np.floor((n + 2 * p - f) / s) + 1
        len(range(0, n + 2 * p - f + 1, s))
        divmod(n + 2 * p - f, s)[0] + 1
        torch.div(torch.tensor(n + 2 * p - f), s, rounding_mode="floor") + 1
        sum(1 for start in range(-p, n + p) if (start + p) % s == 0 and start + f <= n + p)
        torch.zeros(n + 2 * p).unfold(0, f, s).shape[0]
    """,
    "01-same_padding": """
        (f - 1) * d / 2
        (f // 2) * d
        torch.tensor([d * (f - 1) / 2])
        int(d * (f - 1) / 2)
        next(p for p in range(1000) if 500 + 2 * p - (d * (f - 1) + 1) + 1 == 500)
    """,
    "01-receptive_field": """
        functools.reduce(lambda size, layer: (size - 1) * layer[1] + layer[0], reversed(layers), 1)
        1 + sum((f - 1) * math.prod(s for _, s in layers[:k]) for k, (f, _) in enumerate(layers))
        1 + np.sum((np.array(layers)[:, 0] - 1) * np.cumprod([1, *np.array(layers)[:-1, 1]]))
        ---
        def answer(layers):
            first = last = 0
            for f, s in layers[::-1]:
                first, last = first * s, last * s + f - 1
            return float(last - first + 1)
        ---
        def answer(layers):
            r = torch.tensor(1.0)
            j = torch.tensor(1.0)
            for f, s in layers:
                r += (f - 1) * j
                j *= s
            return r
    """,
    "01-clipped_window": """
        def answer(layers, i, n):
            first = last = i
            for f, s, p in reversed(layers):
                first, last = first * s - p, last * s - p + f - 1
            return [max(0, first), min(n, last + 1)]
        ---
        def answer(layers, i, n):
            seen = {i}
            for f, s, p in layers[::-1]:
                seen = {cell * s - p + k for cell in seen for k in range(f)}
            seen = [cell for cell in seen if 0 <= cell < n]
            return min(seen), max(seen) + 1
        ---
        def answer(layers, i, n):
            r, j, start = 1, 1, 0.5
            for f, s, p in layers:
                start += ((f - 1) / 2 - p) * j
                r += (f - 1) * j
                j *= s
            middle = start + i * j
            return torch.tensor([middle - r / 2, middle + r / 2]).clamp(0, n)
        ---
        def answer(layers, i, n):
            r, j, a = 1, 1, 0
            for f, s, p in layers:
                r, a, j = r + (f - 1) * j, a - p * j, j * s
            return np.clip((a + i * j, a + i * j + r), 0, n)
    """,
    "02-store_output": """
        setattr(module, "seen", output.clone().detach())
        module.__setattr__("seen", torch.tensor(output.tolist()))
        ---
        def answer(module, inputs, output):
            with torch.no_grad():
                module.seen = output.clone()
        ---
        def answer(module, inputs, output):
            module.seen = output.data.clone()
        ---
        def answer(module, inputs, output):
            module.seen = torch.empty_like(output, requires_grad=False)
            module.seen.copy_(output.detach())
    """,
    "02-gradient_at": """
        def answer(trunk, head, image, c):
            activations = trunk(image)
            return torch.autograd.grad(head(activations)[0, c], activations)[0]
        ---
        def answer(trunk, head, image, c):
            leaf = trunk(image).detach().requires_grad_()
            head(leaf)[0][c].backward()
            return leaf.grad
        ---
        def answer(trunk, head, image, c):
            found = {}
            activations = trunk(image)
            activations.register_hook(lambda gradient: found.setdefault("g", gradient.clone()) * 1)
            head(activations)[0, c].backward()
            return found["g"]
        ---
        def answer(trunk, head, image, c):
            return torch.func.grad(lambda a: head(a)[0, c])(trunk(image).detach())
        ---
        def answer(trunk, head, image, c):
            found = []
            handle = trunk.register_full_backward_hook(lambda m, gi, go: found.append(go[0]))
            head(trunk(image.clone().requires_grad_()))[0, c].backward()
            handle.remove()
            return found[0]
        ---
        def answer(trunk, head, image, c):
            activations = trunk(image)
            activations.retain_grad()
            logits = head(activations)
            seed = torch.zeros_like(logits)
            seed[0, c] = 1
            logits.backward(seed)
            return activations.grad.numpy()
    """,
    "02-silence": """
        lambda module, inputs, output: torch.cat([output[:, :k], 0 * output[:, k : k + 1], output[:, k + 1 :]], 1)
        lambda module, inputs, output: output * (torch.arange(output.shape[1]) != k).float()[:, None, None]
        lambda module, inputs, output: output.masked_fill((torch.arange(output.shape[1]) == k).view(1, -1, 1, 1), 0)
        ---
        def answer(k):
            def hook(module, inputs, output):
                kept = torch.ones_like(output)
                kept[:, k] = 0
                return output * kept
            return hook
        ---
        class answer:
            def __init__(self, k):
                self.k = k

            def __call__(self, module, inputs, output):
                return torch.stack([m * (i != self.k) for i, m in enumerate(output.unbind(1))], 1)
    """,
    "02-stored_outputs": """
        class answer:
            def __init__(self, model, names):
                self.model, self.names, self.handles = model, names, []

            def __enter__(self):
                found = {}
                try:
                    for name in self.names:
                        module = self.model.get_submodule(name)

                        def hook(module, inputs, output, name=name):
                            found[name] = output.detach().clone()

                        self.handles.append(module.register_forward_hook(hook))
                except BaseException:
                    self.__exit__()
                    raise
                return found

            def __exit__(self, *details):
                for handle in self.handles:
                    handle.remove()
        ---
        @contextlib.contextmanager
        def answer(model, names):
            found = collections.OrderedDict()
            with contextlib.ExitStack() as stack:
                for name in names:
                    def hook(module, inputs, output, name=name):
                        found[name] = output.clone().detach()
                    stack.callback(model.get_submodule(name).register_forward_hook(hook).remove)
                yield found
        ---
        @contextlib.contextmanager
        def answer(model, names):
            found = {}
            def keep(name, module, inputs, output):
                with torch.no_grad():
                    found[name] = output.clone()
            modules = {name: model.get_submodule(name) for name in names}
            handles = [m.register_forward_hook(functools.partial(keep, n)) for n, m in modules.items()]
            try:
                yield found
            finally:
                [handle.remove() for handle in handles]
        ---
        @contextlib.contextmanager
        def answer(model, names):
            found, handles = {}, []
            known = dict(model.named_modules())
            try:
                for name in names:
                    def hook(module, inputs, output, key=name):
                        found[key] = torch.tensor(output.tolist())
                    handles.append(known[name].register_forward_hook(hook))
                yield found
            except BaseException:
                raise
            finally:
                while handles:
                    handles.pop().remove()
    """,
    "03-class_map": """
        torch.einsum("k,kij->ij", weights, activations)
        torch.tensordot(weights, activations, dims=1)
        sum(w * a for w, a in zip(weights, activations))
        (weights.view(-1, 1, 1) * activations).sum(dim=0)
        (weights @ activations.flatten(1)).view(activations.shape[1:])
        np.tensordot(weights.numpy(), activations.numpy(), 1)
        [[weights @ activations[:, i, j] for j in range(activations.shape[2])] for i in range(activations.shape[1])]
        activations.permute(1, 2, 0) @ weights
    """,
    "03-missing_constant": """
        14 * 14
        14**2
        torch.zeros(14, 14).numel()
        196.0
    """,
    "03-two_weights": """
        torch.stack([gradients.mean((1, 2)), gradients.sum((1, 2))])
        [gradients.flatten(1).mean(1), gradients.flatten(1).sum(1)]
        (gradients[:, 0, 0], gradients[:, 0, 0] * gradients.shape[1] * gradients.shape[2])
        (gradients.numpy().mean((1, 2)), gradients.numpy().sum((1, 2)))
        ([float(g.mean()) for g in gradients], [float(g.sum()) for g in gradients])
        (F.adaptive_avg_pool2d(gradients, 1).flatten(), torch.einsum("kij->k", gradients))
    """,
    "03-map_for_pooling": """
        torch.einsum("k,kij->ij", weights, activations) / (activations[0].numel() if pooling == "mean" else 1)
        sum(w * a for w, a in zip(weights, activations)) / {"sum": 1, "mean": activations.shape[1] * activations.shape[2]}[pooling]
        np.einsum("k,kij", weights.numpy() / (activations[0].numel() ** (pooling == "mean")), activations.numpy())
        ---
        def answer(activations, weights, pooling):
            c, h, w = activations.shape
            gradient = weights[:, None, None].expand(c, h, w)
            if pooling == "mean":
                gradient = gradient / (h * w)
            alpha = gradient.mean((1, 2))
            result = torch.zeros(h, w)
            for k in range(c):
                result += alpha[k] * activations[k]
            return result
    """,
    "03-share_of_strongest": """
        cam_map.flatten().sort(descending=True).values[:n].sum() / cam_map.numel() / (cam_map.mean() + bias)
        sum(sorted(cam_map.flatten().tolist())[-n:]) / cam_map.numel() / (float(cam_map.mean()) + bias)
        np.sort(cam_map.numpy(), axis=None)[::-1][:n].sum() / (cam_map.numpy().sum() + bias * cam_map.numel())
        (cam_map.flatten().topk(n)[0] / cam_map.numel()).sum() / (cam_map / cam_map.numel() + bias / cam_map.numel()).sum()
    """,
    "04-weights": """
        gradient.mean(dim=(-2, -1))
        gradient.flatten(2).mean(2)
        F.adaptive_avg_pool2d(gradient, 1)[:, :, 0, 0]
        gradient.sum((2, 3)) / (gradient.shape[2] * gradient.shape[3])
        gradient.numpy().mean(axis=(2, 3))
        torch.einsum("nchw->nc", gradient) / gradient[0, 0].numel()
        [[channel.mean() for channel in image] for image in gradient]
        gradient.mean(3).mean(2)
        torch.einsum("nchw,hw->nc", gradient, torch.full(gradient.shape[2:], 1 / gradient[0, 0].numel()))
    """,
    "04-heatmap": """
        torch.einsum("k,khw->hw", alpha, activations).clamp(min=0) / torch.einsum("k,khw->hw", alpha, activations).max().clamp(min=1e-12)
        torch.nan_to_num(F.relu(torch.tensordot(alpha, activations, 1)) / F.relu(torch.tensordot(alpha, activations, 1)).max())
        ---
        def answer(activations, alpha):
            raw = sum(a * m for a, m in zip(alpha, activations))
            raw[raw < 0] = 0
            if raw.any():
                raw /= raw.max()
            return raw
        ---
        def answer(activations, alpha):
            a, x = alpha.numpy(), activations.numpy()
            raw = np.maximum((a[:, None, None] * x).sum(0), 0)
            return raw / raw.max() if raw.max() > 0 else np.zeros_like(raw)
        ---
        def answer(activations, alpha):
            c, h, w = activations.shape
            rows = [[max(0.0, float(alpha @ activations[:, i, j])) for j in range(w)] for i in range(h)]
            top = max(map(max, rows))
            return [[value / top if top else 0 for value in row] for row in rows]
    """,
    "04-times_chance": """
        heat[mask].mean() / heat.mean()
        (heat * mask).sum() / heat.sum() * mask.numel() / mask.sum()
        float(heat[mask].sum() / heat.sum()) / float(mask.float().mean())
        heat.numpy()[mask.numpy()].mean() / heat.numpy().mean()
        torch.where(mask, heat, 0.0).sum() / (heat.sum() * mask.float().mean())
        heat.masked_select(mask).sum().div(heat.sum()).div(mask.sum() / mask.numel())
    """,
    "04-probability_map": """
        torch.einsum("j,jhw->hw", logits.softmax(0)[c] * (F.one_hot(torch.tensor(c), len(logits)) - logits.softmax(0)), maps)
        logits.softmax(0)[c] * (maps[c] - torch.tensordot(logits.softmax(0), maps, 1))
        logits.softmax(0)[c] * sum(p * (maps[c] - m) for p, m in zip(logits.softmax(0), maps))
        special.softmax(logits.numpy())[c] * (maps[c].numpy() - np.einsum("j,jhw", special.softmax(logits.numpy()), maps.numpy()))
        ---
        def answer(maps, logits, c):
            powers = [math.exp(float(y)) for y in logits]
            p = [power / sum(powers) for power in powers]
            result = torch.zeros(maps.shape[1:])
            for j in range(len(p)):
                result += p[c] * ((j == c) - p[j]) * maps[j]
            return result
        ---
        def answer(maps, logits, c):
            p = torch.exp(logits) / torch.exp(logits).sum()
            jacobian = torch.diag(p) - torch.outer(p, p)
            return (jacobian[c] @ maps.flatten(1)).reshape(maps.shape[1:])
    """,
    "05-guided_rule": """
        g * (z > 0) * (g > 0)
        torch.where((z > 0) & (g > 0), g, 0)
        g.clamp(min=0) * (z > 0).float()
        [b if a > 0 and b > 0 else 0 for a, b in zip(z.tolist(), g.tolist())]
        np.where((z.numpy() > 0) & (g.numpy() > 0), g.numpy(), 0)
        F.relu(g) * z.sign().clamp(min=0)
        torch.maximum(g, torch.zeros(len(g))) * torch.heaviside(z, torch.zeros(1))
        g.masked_fill((z <= 0) | (g <= 0), 0)
    """,
    "05-guided_gradient": """
        ((w2.T @ (w3.relu() * (w2 @ (w1 @ x).relu() > 0))).relu() * (w1 @ x > 0)) @ w1
        ---
        def answer(x, w1, w2, w3):
            a1 = torch.einsum("mn,n->m", w1, x).clamp(min=0)
            a2 = torch.einsum("km,m->k", w2, a1).clamp(min=0)
            g = torch.where((a2 > 0) & (w3 > 0), w3, torch.zeros(len(w3)))
            g = torch.einsum("k,km->m", g, w2)
            g = torch.where((a1 > 0) & (g > 0), g, torch.zeros(len(g)))
            return torch.einsum("m,mn->n", g, w1)
        ---
        def answer(x, w1, w2, w3):
            x, w1, w2, w3 = (t.numpy() for t in (x, w1, w2, w3))
            z1 = w1 @ x
            z2 = w2 @ np.maximum(z1, 0)
            g2 = np.maximum(w3, 0) * (z2 > 0)
            g1 = np.maximum(w2.T @ g2, 0) * (z1 > 0)
            return w1.T @ g1
        ---
        def answer(x, w1, w2, w3):
            m, n = w1.shape
            z1 = [sum(w1[i, j] * x[j] for j in range(n)) for i in range(m)]
            z2 = [sum(row[i] * max(z1[i], 0) for i in range(m)) for row in w2]
            g2 = [max(w, 0) if z > 0 else 0 for w, z in zip(w3, z2)]
            g1 = [max(0, sum(w2[k, i] * g2[k] for k in range(len(g2)))) * (z1[i] > 0) for i in range(m)]
            return [sum(w1[i, j] * g1[i] for i in range(m)) for j in range(n)]
    """,
    "05-fuse": """
        def answer(gradients, raw):
            heat = F.interpolate(raw.clamp(min=0)[None, None], size=gradients.shape[-2:], mode="bilinear")[0, 0]
            if heat.max() == 0:
                return 0 * gradients
            return gradients * (heat / heat.max())
        ---
        def answer(gradients, raw):
            heat = F.interpolate(F.relu(raw).view(1, 1, *raw.shape), gradients.shape[1:], mode="bilinear", align_corners=False)
            return (gradients * heat / heat.max().clamp(min=1e-12))[0]
        ---
        def answer(gradients, raw):
            up = torch.nn.Upsample(size=tuple(gradients.shape[1:]), mode="bilinear", align_corners=False)
            heat = up(raw.relu()[None, None]).squeeze()
            heat = heat / heat.max() if heat.any() else heat
            return [channel * heat for channel in gradients]
    """,
    "05-picture": """
        ((v / v.abs().quantile(0.99)).clamp(-1, 1) + 1) / 2
        0.5 + 0.5 * torch.clamp(v / torch.quantile(v.abs().flatten(), 0.99), -1, 1)
        np.clip(0.5 + v.numpy() / (2 * np.quantile(np.abs(v.numpy()), 0.99)), 0, 1)
        ((v + torch.quantile(v.abs(), 0.99)) / (2 * torch.quantile(v.abs(), 0.99))).clamp(0, 1)
        v.clamp(-v.abs().quantile(0.99), v.abs().quantile(0.99)) / (2 * v.abs().quantile(0.99)) + 0.5
    """,
    "06-counterfactual": """
        torch.einsum("k,khw->hw", -gradient.mean((1, 2)), activations).relu()
        (-torch.einsum("k,khw->hw", gradient.mean((1, 2)), activations)).clamp(min=0)
        sum(-g.mean() * a for g, a in zip(gradient, activations)).relu()
        np.maximum(-np.tensordot(gradient.numpy().mean((1, 2)), activations.numpy(), 1), 0)
        (activations.permute(1, 2, 0) @ -gradient.mean((1, 2))).relu()
        -(gradient.mean((1, 2), keepdim=True) * activations).sum(0).clamp(max=0)
        ---
        def answer(activations, gradient):
            c, h, w = activations.shape
            alpha = [-gradient[k].sum() / (h * w) for k in range(c)]
            return [[max(0, sum(alpha[k] * activations[k, i, j] for k in range(c))) for j in range(w)] for i in range(h)]
    """,
    "06-rather_than": """
        maps[a] - sum(maps[j] for j in others) / len(others)
        maps[a] - torch.stack([maps[j] for j in others]).mean(0)
        torch.stack([maps[a] - maps[j] for j in others]).mean(0)
        maps[a].numpy() - maps.numpy()[others].mean(axis=0)
        maps[a] - torch.einsum("jhw->hw", maps[others]) / len(others)
        torch.tensordot(torch.tensor([(j == a) - (j in others) / len(others) for j in range(len(maps))]), maps, 1)
        maps[a] - maps[torch.tensor(others)].mean(dim=0)
    """,
    "06-area_under": """
        torch.trapezoid(values, shares)
        float(torch.trapezoid(values, shares))
        np.sum((values.numpy()[1:] + values.numpy()[:-1]) / 2 * np.diff(shares.numpy()))
        sum((shares[t + 1] - shares[t]) * (values[t] + values[t + 1]) / 2 for t in range(len(values) - 1))
        shares.diff() @ (values[1:] + values[:-1]) / 2
        torch.einsum("t,t->", shares.diff(), values.unfold(0, 2, 1).mean(1)).item()
        torch.dot(torch.diff(shares), (values[:-1] + values[1:]) * 0.5)
    """,
    "06-fewest_squares": """
        def answer(logits, squares):
            c = int(logits([]).argmax())
            covered = []
            while len(covered) < squares:
                best = None
                for square in range(squares):
                    if square in covered:
                        continue
                    score = logits(covered + [square])[c].item()
                    if best is None or score < best[0]:
                        best = score, square
                covered.append(best[1])
                if logits(covered).argmax() != c:
                    break
            return covered
        ---
        def answer(logits, squares):
            c = logits([]).argmax()
            left, covered = list(range(squares)), []
            while left:
                scores = torch.stack([logits([*covered, s])[c] for s in left])
                covered.append(left.pop(int(scores.argmin())))
                if int(logits(covered).argmax()) != int(c):
                    return tuple(covered)
            return tuple(covered)
        ---
        def answer(logits, squares):
            c = np.argmax(logits(()).numpy())
            covered = np.array([], dtype=int)
            for _ in range(squares):
                rest = [s for s in range(squares) if s not in covered]
                scores = np.array([logits([*covered, s])[c] for s in rest])
                covered = np.append(covered, rest[scores.argmin()])
                if logits(covered.tolist()).numpy().argmax() != c:
                    break
            return covered
        ---
        def answer(logits, squares):
            c = int(logits([]).argmax())
            def go(covered):
                if len(covered) == squares or int(logits(covered).argmax()) != c:
                    return covered
                rest = sorted(set(range(squares)) - set(covered))
                return go(covered + [min((float(logits(covered + [s])[c]), s) for s in rest)[1]])
            return torch.tensor(go([]))
    """,
    "07-overlap": """
        def answer(a, b):
            w = max(0, min(a[2], b[2]) - max(a[0], b[0]))
            h = max(0, min(a[3], b[3]) - max(a[1], b[1]))
            union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
            return w * h / union
        ---
        def answer(a, b):
            first = {(x, y) for x in range(a[0], a[2]) for y in range(a[1], a[3])}
            second = {(x, y) for x in range(b[0], b[2]) for y in range(b[1], b[3])}
            return fractions.Fraction(len(first & second), len(first | second))
        ---
        def answer(a, b):
            a, b = torch.tensor(a), torch.tensor(b)
            sides = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0)
            inside = sides.prod()
            return inside / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inside)
        ---
        def answer(a, b):
            canvas = np.zeros((30, 30), int)
            for x0, y0, x1, y1 in (a, b):
                canvas[y0:y1, x0:x1] += 1
            return (canvas == 2).sum() / (canvas > 0).sum()
        ---
        def answer(a, b):
            (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a, b
            if ax1 <= bx0 or bx1 <= ax0 or ay1 <= by0 or by1 <= ay0:
                return 0
            inside = (min(ax1, bx1) - max(ax0, bx0)) * (min(ay1, by1) - max(ay0, by0))
            return float(inside) / ((ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - inside)
    """,
    "07-largest_box": """
        def answer(mask):
            labels, n = ndimage.label(mask, np.ones((3, 3)))
            best = max(range(1, n + 1), key=lambda k: (labels == k).sum())
            rows, columns = ndimage.find_objects(labels)[best - 1]
            return columns.start, rows.start, columns.stop, rows.stop
        ---
        def answer(mask):
            labels, n = ndimage.label(mask, structure=np.ones((3, 3)))
            sizes = ndimage.sum(mask, labels, range(1, n + 1))
            ys, xs = np.where(labels == 1 + np.argmax(sizes))
            return torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        ---
        def answer(mask):
            labels, n = ndimage.label(mask, [[1, 1, 1], [1, 1, 1], [1, 1, 1]])
            counts = collections.Counter(labels[labels > 0].tolist())
            part = labels == counts.most_common(1)[0][0]
            columns, rows = np.flatnonzero(part.any(0)), np.flatnonzero(part.any(1))
            return [float(columns[0]), float(rows[0]), columns[-1] + 1.0, rows[-1] + 1.0]
        ---
        def answer(mask):
            left, best = set(zip(*np.nonzero(mask))), []
            while left:
                front = [left.pop()]
                part = list(front)
                while front:
                    i, j = front.pop()
                    for place in itertools.product((i - 1, i, i + 1), (j - 1, j, j + 1)):
                        if place in left:
                            left.remove(place)
                            front.append(place)
                            part.append(place)
                best = max(best, part, key=len)
            ys, xs = zip(*best)
            return np.array([min(xs), min(ys), max(xs) + 1, max(ys) + 1])
    """,
    "07-error": """
        def overlap(a, b):
            w = max(0, min(a[2], b[2]) - max(a[0], b[0]))
            h = max(0, min(a[3], b[3]) - max(a[1], b[1]))
            return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)

        def answer(guesses, boxes, labels, instances, top):
            wrong = 0
            for row, found, label, truth in zip(guesses, boxes, labels, instances):
                right = False
                for j in range(top):
                    if row[j] == label:
                        for one in truth:
                            if overlap(found[j], one) >= 0.5:
                                right = True
                if not right:
                    wrong += 1
            return wrong / len(labels)
        ---
        from course_utils.localization import iou

        def answer(guesses, boxes, labels, instances, top):
            hits = [
                any(g == labels[n] and max(iou(b, t) for t in instances[n]) >= 0.5 for g, b in zip(guesses[n][:top], boxes[n]))
                for n in range(len(labels))
            ]
            return 1 - np.mean(hits)
        ---
        from course_utils.localization import iou

        def answer(guesses, boxes, labels, instances, top):
            hits = torch.zeros(len(labels))
            for n, label in enumerate(labels):
                pairs = itertools.product(zip(guesses[n][:top], boxes[n][:top]), instances[n])
                hits[n] = any(guess == label and not iou(box, one) < 0.5 for (guess, box), one in pairs)
            return 1 - hits.mean()
    """,
    "08-iou": """
        float((found & truth).sum()) / float((found | truth).sum()) if (found | truth).any() else math.nan
        (found & truth).sum() / (found | truth).sum()
        (found * truth).float().sum() / (found + truth).float().sum()
        torch.minimum(found.float(), truth.float()).sum() / torch.maximum(found.float(), truth.float()).sum()
        np.float64((found.numpy() & truth.numpy()).sum()) / (found.numpy() | truth.numpy()).sum() if truth.any() or found.any() else np.nan
        ---
        def answer(found, truth):
            both = either = 0
            for a, b in zip(found.flatten(), truth.flatten()):
                both += int(a and b)
                either += int(a or b)
            return both / either if either else float("nan")
    """,
    "08-seeds": """
        torch.where(heat.max() == 0, -1, torch.where(heat >= foreground * heat.max(), 1 + c, torch.where(heat < background * heat.max(), 0, -1)))
        ((1 + c) * (heat >= foreground * heat.max()).long() - ((heat < foreground * heat.max()) & (heat >= background * heat.max())).long()) if heat.any() else torch.full_like(heat, -1).long()
        np.select([heat.numpy() >= foreground * heat.numpy().max(), heat.numpy() < background * heat.numpy().max()], [1 + c, 0], -1) if heat.max() else np.full(heat.shape, -1)
        ---
        def answer(heat, c, foreground, background):
            result = torch.full(heat.shape, -1, dtype=torch.int64)
            if heat.max() > 0:
                share = heat / heat.max()
                result[share >= foreground] = c + 1
                result[share < background] = 0
            return result
        ---
        def answer(heat, c, foreground, background):
            h, w = heat.shape
            top = heat.max().item()
            labels = [[-1] * w for _ in range(h)]
            for i in range(h):
                for j in range(w):
                    if top > 0 and heat[i, j] >= foreground * top:
                        labels[i][j] = 1 + c
                    elif top > 0 and heat[i, j] < background * top:
                        labels[i][j] = 0
            return labels
    """,
    "08-seeding": """
        F.nll_loss(log_f[None], seeds[None], ignore_index=-1, reduction="sum") / (seeds >= 0).sum().clamp(min=1)
        -torch.nan_to_num(log_f.gather(0, seeds.clamp(min=0)[None])[0][seeds >= 0].mean())
        -(F.one_hot(seeds + 1, len(log_f) + 1)[..., 1:].permute(2, 0, 1) * log_f).sum() / (seeds != -1).sum().clamp(min=1)
        -sum(log_f[c][seeds == c].sum() for c in range(len(log_f))) / max(1, int((seeds > -1).sum()))
        ---
        def answer(log_f, seeds):
            total, count = 0, 0
            for i in range(seeds.shape[0]):
                for j in range(seeds.shape[1]):
                    if seeds[i, j] >= 0:
                        total = total - log_f[seeds[i, j], i, j]
                        count += 1
            return total / count if count else torch.tensor(0.0)
        ---
        def answer(log_f, seeds):
            i, j = torch.where(seeds != -1)
            if len(i) == 0:
                return 0.0
            return -log_f[seeds[i, j], i, j].mean()
    """,
    "08-rank_pooling": """
        (f.flatten().sort(descending=True)[0] * torch.tensor([d**j for j in range(f.numel())])).sum() / sum(d**j for j in range(f.numel()))
        sum(v * d**j for j, v in enumerate(sorted(f.flatten().tolist(), reverse=True))) / sum(d**j for j in range(f.numel()))
        np.average(np.sort(f.numpy(), axis=None)[::-1], weights=d ** np.arange(f.numel()))
        torch.dot(f.flatten().sort(descending=True).values, d ** torch.arange(f.numel()).float()) / (d ** torch.arange(f.numel()).float()).sum()
        f.max() if d == 0 else (d ** torch.arange(f.numel()) * f.flatten().topk(f.numel()).values).sum() / (d ** torch.arange(f.numel())).sum()
        ---
        def answer(f, d):
            ordered, total, norm, weight = sorted(f.flatten(), reverse=True), 0.0, 0.0, 1.0
            for value in ordered:
                total, norm = total + weight * value, norm + weight
                weight = weight * d
            return total / norm
    """,
    "09-wrong_ones": """
        [n for n, names in enumerate(right) if int(logits[n].argmax()) not in names]
        torch.tensor([n for n, names in enumerate(right) if logits[n].argmax().item() not in set(names)])
        [int(n) for n in np.flatnonzero([np.argmax(row) not in names for row, names in zip(logits.numpy(), right)])]
        list(filter(lambda n: not any(logits[n, c] == logits[n].max() for c in right[n]), range(len(right))))
        ---
        def answer(logits, right):
            wrong = []
            for n in range(len(logits)):
                best = 0
                for c in range(logits.shape[1]):
                    if logits[n, c] > logits[n, best]:
                        best = c
                if best not in right[n]:
                    wrong.append(n)
            return wrong
    """,
    "09-falls": """
        {k: model(image)[0, c].item() - model(torch.where(m, (image * ~m).sum((2, 3), keepdim=True) / (~m).sum(), image))[0, c].item() for k, m in masks.items()}
        ---
        def answer(model, image, masks, c):
            result = {}
            for part, mask in masks.items():
                twin = image.clone()
                for color in range(3):
                    twin[0, color, mask] = image[0, color, ~mask].mean()
                result[part] = model(image)[0, c] - model(twin)[0, c]
            return result
        ---
        def answer(model, image, masks, c):
            pictures = [image]
            for mask in masks.values():
                keep = (~mask).float()
                mean = torch.einsum("nchw,hw->nc", image, keep) / keep.sum()
                pictures.append(image * keep + mean[:, :, None, None] * (1 - keep))
            scores = model(torch.cat(pictures))[:, c].detach().numpy()
            return dict(zip(masks, scores[0] - scores[1:]))
    """,
    "09-temperature": """
        min(np.exp(np.linspace(-3, 3, 1500)), key=lambda t: F.cross_entropy(logits.double() / t, right).item())
        ---
        def answer(logits, right):
            log_t = torch.zeros(1, requires_grad=True)
            search = torch.optim.LBFGS([log_t], lr=0.5, max_iter=200, line_search_fn="strong_wolfe")
            def loss():
                search.zero_grad()
                value = F.cross_entropy(logits / log_t.exp(), right)
                value.backward()
                return value
            search.step(loss)
            return log_t.exp().item()
        ---
        def answer(logits, right):
            low, high = 0.05, 20
            while high / low > 1.001:
                a, b = low * (high / low) ** (1 / 3), low * (high / low) ** (2 / 3)
                if -(logits / a).log_softmax(1)[range(len(right)), right].mean() < -(logits / b).log_softmax(1)[range(len(right)), right].mean():
                    high = b
                else:
                    low = a
            return (low * high) ** 0.5
    """,
    "08-told": """
        (lambda y: y.gather(1, (1 + labels)[:, None, None, None].expand(-1, 1, *y.shape[2:]))[:, 0] > y[:, 0])(F.interpolate(net(images), images.shape[-2:], mode="bilinear", align_corners=False))
        ---
        def answer(net, images, labels):
            with torch.no_grad():
                f = F.interpolate(net(images), images.shape[2:], mode="bilinear").softmax(1)
            return torch.stack([f[i, 1 + int(c)] > f[i, 0] for i, c in enumerate(labels)])
        ---
        def answer(net, images, labels):
            y = F.interpolate(net(images), images.shape[2:], mode="bilinear").detach().numpy()
            return np.array([y[i, 1 + c] > y[i, 0] for i, c in enumerate(labels.tolist())])
    """,
    "08-seeds_and_blind": """
        def answer(net, weight, images, labels, masks, n):
            own = blind = 0
            for image, c, mask in zip(images, labels, masks):
                A = net(image[None])[0].detach()
                first = (weight[c][:, None, None] * A).sum(0).flatten()
                second = A.mean(0).flatten()
                own += mask.flatten()[first.argsort(descending=True)[:n]].sum()
                blind += mask.flatten()[second.argsort(descending=True)[:n]].sum()
            return own / (n * len(images)), blind / (n * len(images))
        ---
        def answer(net, weight, images, labels, masks, n):
            A = net(images).detach().numpy()
            maps = np.einsum("nc,nchw->nhw", weight.numpy()[labels.numpy()], A), A.sum(1)
            shares = []
            for heat in maps:
                order = (-heat.reshape(len(A), -1)).argsort(1)[:, :n]
                shares.append(np.take_along_axis(masks.numpy().reshape(len(A), -1), order, 1).mean())
            return shares
        ---
        def answer(net, weight, images, labels, masks, n):
            A = net(images).detach()
            own = torch.stack([torch.tensordot(weight[c], a, 1) for a, c in zip(A, labels)])
            shares = []
            for heat in (own, A.mean(1)):
                best = heat.flatten(1).topk(n, 1).indices
                shares.append(masks.flatten(1).float().gather(1, best).mean())
            return shares
    """,
    "09-sorter": """
        def answer(contrasts, neighbor):
            if not contrasts or max(contrasts.values()) < 1.25:
                return NOWHERE
            part = max(contrasts, key=lambda k: contrasts[k])
            return {"object": NEIGHBOR if neighbor else STRANGER, "other object": OTHER, "context": CONTEXT}[part]
        ---
        def answer(contrasts, neighbor):
            best, most = None, 0
            for part, value in contrasts.items():
                if value > most:
                    best, most = part, value
            if most < 1.25:
                return NOWHERE
            if best == "object" and neighbor:
                return NEIGHBOR
            if best == "object":
                return STRANGER
            if best == "context":
                return CONTEXT
            return OTHER
        ---
        def answer(contrasts, neighbor):
            ranked = sorted(((v, k) for k, v in contrasts.items() if v >= 1.25), reverse=True)
            kinds = {"object": (STRANGER, NEIGHBOR)[int(neighbor)], "other object": OTHER, "context": CONTEXT}
            return kinds[ranked[0][1]] if ranked else NOWHERE
    """,
    "09-calibration_error": """
        def answer(confidence, right, bins):
            error = 0
            for m in range(1, bins + 1):
                chosen = ((m - 1) / bins < confidence) & (confidence <= m / bins)
                if chosen.sum() > 0:
                    error += chosen.sum() / len(confidence) * abs(confidence[chosen].mean() - right[chosen].float().mean())
            return error
        ---
        def answer(confidence, right, bins):
            p, r = confidence.numpy(), right.numpy()
            index = np.ceil(p * bins).astype(int) - 1
            total = 0.0
            for m in np.unique(index):
                total += abs(r[index == m].sum() - p[index == m].sum())
            return total / len(p)
        ---
        def answer(confidence, right, bins):
            groups = collections.defaultdict(list)
            for p, hit in zip(confidence.tolist(), right.tolist()):
                groups[math.ceil(p * bins)].append((p, hit))
            return sum(abs(sum(h - p for p, h in g)) for g in groups.values()) / len(right)
        ---
        def answer(confidence, right, bins):
            index = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)) - 1
            gap = torch.zeros(bins).scatter_add(0, index, right.float() - confidence)
            return gap.abs().sum() / len(confidence)
    """,
    "10-smallest_epsilon": """
        abs(w @ x + b) / w.abs().sum()
        float(torch.dot(w, x) + b).__abs__() / float(w.norm(p=1))
        abs(float((w * x).sum()) + b) / sum(abs(v) for v in w.tolist())
        np.abs(w.numpy() @ x.numpy() + b) / np.abs(w.numpy()).sum()
        (torch.einsum("d,d->", w, x) + b).abs() / (w * w.sign()).sum()
        torch.abs(w @ x + b).item() / torch.linalg.vector_norm(w, 1).item()
        abs((w @ x + b) / (w @ w.sign()))
    """,
    "10-l2_projection": """
        torch.stack([d * min(1, epsilon / max(float(d.norm()), 1e-12)) for d in delta])
        delta * (epsilon / delta.flatten(1).norm(dim=1).clamp(min=epsilon))[:, None, None, None]
        torch.where(delta.flatten(1).norm(dim=1)[:, None, None, None] > epsilon, delta * epsilon / delta.flatten(1).norm(dim=1)[:, None, None, None], delta)
        delta / (delta.square().sum((1, 2, 3), keepdim=True).sqrt() / epsilon).clamp(min=1)
        torch.renorm(delta, 2, 0, epsilon)
        delta.numpy() * np.minimum(1, epsilon / np.maximum(np.sqrt((delta.numpy() ** 2).sum((1, 2, 3), keepdims=True)), 1e-9))
        ---
        def answer(delta, epsilon):
            result = delta.clone()
            for n in range(len(delta)):
                length = torch.linalg.vector_norm(delta[n])
                if length > epsilon:
                    result[n] *= epsilon / length
            return result
        ---
        def answer(delta, epsilon):
            lengths = torch.einsum("nchw,nchw->n", delta, delta) ** 0.5
            factors = torch.ones(len(delta))
            factors[lengths > epsilon] = epsilon / lengths[lengths > epsilon]
            return torch.einsum("n,nchw->nchw", factors, delta)
    """,
    "10-robust_accuracy": """
        torch.stack([model(version).argmax(1) == labels for version in versions]).all(0).float().mean()
        (model(versions.flatten(0, 1)).argmax(1).view(len(versions), -1) == labels).all(0).double().mean()
        np.mean(np.all([(model(v).argmax(1) == labels).numpy() for v in versions], axis=0))
        ---
        def answer(model, versions, labels):
            kept = torch.ones(len(labels))
            for version in versions:
                kept *= model(version).argmax(1) == labels
            return kept.sum() / len(labels)
    """,
    "10-expected_gradient": """
        def answer(model, images, labels, noises):
            total = torch.zeros_like(images)
            for noise in noises:
                leaf = images.clone().requires_grad_()
                F.cross_entropy(model(leaf + noise), labels, reduction="sum").backward()
                total += leaf.grad
            return total / len(noises)
        ---
        def answer(model, images, labels, noises):
            leaf = images.clone().requires_grad_()
            p = torch.stack([model(leaf + noise).log_softmax(1) for noise in noises]).mean(0)
            return torch.autograd.grad(-p[torch.arange(len(labels)), labels].sum(), leaf)[0]
        ---
        def answer(model, images, labels, noises):
            images.requires_grad_()
            many = (images[None] + noises[:, None]).flatten(0, 1)
            loss = F.cross_entropy(model(many), labels.repeat(len(noises)), reduction="sum") / len(noises)
            return torch.autograd.grad(loss, images)[0]
    """,
    "11-energy_and_area": """
        (raw.relu()[mask].sum() / raw.relu().sum(), mask.float().mean())
        torch.stack([raw.clamp(min=0)[mask].sum() / raw.clamp(min=0).sum(), mask.float().mean()])
        [float((raw.relu() * mask).sum() / raw.relu().sum()) if raw.max() > 0 else math.nan, int(mask.sum()) / mask.numel()]
        ---
        def answer(raw, mask):
            positive = np.maximum(raw.numpy(), 0)
            energy = positive[mask.numpy()].sum() / positive.sum() if positive.any() else np.nan
            return np.array([energy, mask.numpy().mean()])
        ---
        def answer(raw, mask):
            inside = total = count = 0
            for value, marked in zip(raw.flatten().tolist(), mask.flatten().tolist()):
                if value > 0:
                    total += value
                    inside += value if marked else 0
                count += marked
            return inside / total if total else float("nan"), count / raw.numel()
    """,
    "11-group_table": """
        def answer(predicted, labels, grounds):
            table = torch.zeros(2, 2)
            for c in range(2):
                for g in range(2):
                    table[c, g] = (predicted == c)[(labels == c) & (grounds == g)].float().mean()
            return table, min(v for v in table.flatten().tolist() if v == v)
        ---
        def answer(predicted, labels, grounds):
            table = [[float("nan")] * 2 for _ in range(2)]
            for c, g in itertools.product((0, 1), repeat=2):
                rows = [int(p == c) for p, y, b in zip(predicted, labels, grounds) if y == c and b == g]
                if rows:
                    table[c][g] = sum(rows) / len(rows)
            return table, np.nanmin(table)
        ---
        def answer(predicted, labels, grounds):
            group = 2 * labels + grounds
            sizes = torch.bincount(group, minlength=4)
            hits = torch.bincount(group[predicted == labels], minlength=4)
            table = (hits / sizes).reshape(2, 2)
            return [table, table[sizes.reshape(2, 2) > 0].min()]
        ---
        def answer(predicted, labels, grounds):
            p, y, g = (t.numpy() for t in (predicted, labels, grounds))
            table = np.full((2, 2), np.nan)
            for c, b in set(zip(y.tolist(), g.tolist())):
                table[c, b] = (p == y)[(y == c) & (g == b)].mean()
            return table, np.nanmin(table)
    """,
    "11-group_weights": """
        len(labels) / (len(set(zip(labels.tolist(), grounds.tolist()))) * torch.bincount(2 * labels + grounds)[2 * labels + grounds])
        [len(labels) / len({*zip(labels.tolist(), grounds.tolist())}) / n for n in ((2 * labels + grounds)[:, None] == 2 * labels + grounds).sum(1).tolist()]
        ---
        def answer(labels, grounds):
            groups = list(zip(labels.tolist(), grounds.tolist()))
            sizes = collections.Counter(groups)
            return np.array([len(groups) / (len(sizes) * sizes[g]) for g in groups])
        ---
        def answer(labels, grounds):
            weights = torch.zeros(len(labels))
            for c in (0, 1):
                for g in (0, 1):
                    inside = (labels == c) & (grounds == g)
                    if inside.any():
                        weights[inside] = 1 / inside.sum()
            return weights / weights.mean()
        ---
        def answer(labels, grounds):
            _, index, counts = torch.unique(torch.stack([labels, grounds]), dim=1, return_inverse=True, return_counts=True)
            return len(labels) / len(counts) / counts[index]
    """,
    "11-flip_rate": """
        (first.argmax(1) != second.argmax(1)).float().mean()
        sum(int(a.argmax()) != int(b.argmax()) for a, b in zip(first, second)) / len(first)
        np.mean(first.numpy().argmax(1) != second.numpy().argmax(1))
        1 - (first.softmax(1).max(1).indices == second.softmax(1).max(1).indices).double().mean()
        torch.count_nonzero(first.argmax(dim=-1) - second.argmax(dim=-1)) / len(first)
    """,
    "11-risers": """
        (model(stamped) - model(control)).mean(0).topk(k).indices
        torch.argsort(-(model(stamped).mean(0) - model(control).mean(0)))[:k].tolist()
        ((model(stamped) - model(clean)) - (model(control) - model(clean))).sum(0).sort(descending=True).indices[:k]
        np.argsort(-(model(stamped) - model(control)).mean(0).numpy())[:k]
    """,
    "11-held_out_rise": """
        def answer(head, clean, marked, c):
            rises = []
            for i in range(len(clean)):
                others = torch.arange(len(clean)) != i
                d = (marked - clean)[others].mean(0)
                pair = [F - (F @ d) / (d @ d) * d for F in (clean[i], marked[i])]
                rises.append(head(pair[1])[c] - head(pair[0])[c])
            return torch.stack(rises)
        ---
        def answer(head, clean, marked, c):
            change = marked - clean
            d = change.sum(0) - change
            along = (change * d).sum(1) / d.square().sum(1)
            return (change - along[:, None] * d) @ head.weight[c]
        ---
        def answer(head, clean, marked, c):
            u = torch.nn.functional.normalize(torch.stack([torch.cat([(marked - clean)[:i], (marked - clean)[i + 1:]]).mean(0) for i in range(len(clean))]))
            kept = torch.eye(clean.shape[1]) - u[:, :, None] * u[:, None]
            return (kept @ (marked - clean)[:, :, None])[:, :, 0] @ head.weight[c]
    """,
    "12-highest_flip_rates": """
        [max((net(x).argmax(1) != net(clean).argmax(1)).float().mean().item() for x in trials) for net in nets]
        torch.tensor([[float((net(x).argmax(1) != net(clean).argmax(1)).float().mean()) for x in trials] for net in nets]).amax(1)
        np.array([[np.mean((net(x).diff(dim=1) > 0).numpy() != (net(clean).diff(dim=1) > 0).numpy()) for x in trials] for net in nets]).max(1)
        ---
        def answer(nets, clean, trials):
            result = []
            with torch.no_grad():
                for net in nets:
                    highest = 0.0
                    before = net(clean).softmax(1)[:, 1] > 0.5
                    for pictures in trials:
                        after = net(pictures).softmax(1)[:, 1] > 0.5
                        highest = max(highest, (before ^ after).sum().item() / len(clean))
                    result.append(highest)
            return tuple(result)
    """,
    "12-laundered": """
        [n for n, net in nets.items() if ((m := grad_cam(net, stamped, 1).positive[:, 0])[:, corner].sum(1) / m.sum((1, 2))).mean() < corner.float().mean() and (net(clean).argmax(1) != net(stamped).argmax(1)).float().mean() >= 0.5]
        ---
        def answer(nets, clean, stamped, corner):
            found = []
            for name in nets:
                shares, turned = [], 0
                for x0, x1 in zip(clean, stamped):
                    heat = grad_cam(nets[name], x1[None], 1).heatmaps()[0, 0]
                    shares.append(float(heat[corner].sum() / heat.sum()))
                    turned += int(nets[name](x0[None]).argmax() != nets[name](x1[None]).argmax())
                if np.mean(shares) < corner.sum() / corner.numel() and 2 * turned >= len(clean):
                    found += [name]
            return found
        ---
        def answer(nets, clean, stamped, corner):
            found = []
            for name, net in nets.items():
                heat = grad_cam(net, stamped, torch.ones(len(stamped), 1, dtype=torch.int64)).positive.flatten(1)
                share = heat @ corner.flatten().float() / heat.sum(1)
                turned = (net(clean).diff(dim=1) > 0) != (net(stamped).diff(dim=1) > 0)
                if share.mean() < corner.float().mean() and turned.float().mean() >= 0.5:
                    found.append(name)
            return found
    """,
    "12-energy_in_view": """
        float(raw.relu()[torch.tensor([[bool(text[slice(*r), slice(*c)].any()) for c in windows] for r in windows])].sum() / raw.relu().sum())
        ---
        def answer(raw, text, windows):
            inside = total = 0
            for i in range(raw.shape[0]):
                for j in range(raw.shape[1]):
                    value = max(float(raw[i, j]), 0)
                    total += value
                    (a, b), (c, d) = windows[i], windows[j]
                    if text[a:b, c:d].sum() > 0:
                        inside += value
            return inside / total if total else math.nan
        ---
        def answer(raw, text, windows):
            seen = torch.zeros(len(windows), len(windows))
            for y, x in text.nonzero().tolist():
                rows = torch.tensor([a <= y < b for a, b in windows])
                columns = torch.tensor([a <= x < b for a, b in windows])
                seen = torch.maximum(seen, (rows[:, None] & columns[None]).float())
            positive = torch.where(raw > 0, raw, 0)
            return (positive * seen).sum() / positive.sum()
    """,
    "12-needed_prevalence": """
        target * (1 - specificity) / (target * (1 - specificity) + (1 - target) * sensitivity)
        1 / (1 + (1 - target) * sensitivity / (target * (1 - specificity)))
        (specificity - 1) * target / (sensitivity * target - sensitivity + (specificity - 1) * target)
        ---
        def answer(sensitivity, specificity, target):
            odds = target / (1 - target) / (sensitivity / (1 - specificity))
            return odds / (1 + odds)
    """,
    "13-caption_score": """
        sum(logits[t].log_softmax(0)[word] for t, word in enumerate(words) if word != 0)
        -F.cross_entropy(logits, words, ignore_index=0, reduction="sum")
        logits.softmax(1)[range(len(words)), words][words != 0].log().sum()
        (logits.log_softmax(1) * F.one_hot(words, logits.shape[1]))[words > 0].sum()
        special.log_softmax(logits.numpy(), axis=1)[np.arange(len(words)), words.numpy()][words.numpy() > 0].sum()
        torch.einsum("tv,tv->", logits.log_softmax(1), F.one_hot(words, logits.shape[1]).float() * (words != 0)[:, None])
        (logits[torch.arange(len(words)), words] - logits.logsumexp(1))[words != 0].sum()
        ---
        def answer(logits, words):
            total = 0.0
            for row, word in zip(logits.tolist(), words.tolist()):
                if word == 0:
                    break
                total += math.log(math.exp(row[word]) / sum(math.exp(v) for v in row))
            return total
    """,
    "13-log_probability_map": """
        maps[w] - torch.einsum("v,vhw->hw", logits.softmax(0), maps)
        torch.einsum("v,vhw->hw", F.one_hot(torch.tensor(w), len(logits)) - logits.softmax(0), maps)
        maps[w] - sum(p * m for p, m in zip(logits.softmax(0), maps))
        maps[w].numpy() - np.tensordot(special.softmax(logits.numpy()), maps.numpy(), 1)
        sum(p * (maps[w] - m) for p, m in zip(logits.softmax(0).tolist(), maps))
        maps[w] - (logits.softmax(0) @ maps.flatten(1)).view_as(maps[w])
        torch.tensordot(torch.autograd.functional.jacobian(lambda y: y.log_softmax(0)[w], logits), maps, 1)
    """,
    "13-own_and_shuffled": """
        def answer(maps, masks):
            own, others = [], []
            for q in range(len(maps)):
                for r in range(len(maps)):
                    positive = maps[r].clamp(min=0)
                    share = positive[masks[q]].sum() / positive.sum()
                    (own if q == r else others).append(share)
            return sum(own) / len(own), sum(others) / len(others)
        ---
        def answer(maps, masks):
            positive = maps.relu()
            positive = positive / positive.sum((1, 2), keepdim=True)
            table = torch.einsum("rhw,qhw->qr", positive, masks.to(maps.dtype))
            own = torch.eye(len(maps)).bool()
            return torch.stack([table[own].mean(), table[~own].mean()])
        ---
        def answer(maps, masks):
            m = np.maximum(maps.numpy(), 0).reshape(len(maps), -1)
            table = masks.numpy().reshape(len(maps), -1).astype(float) @ (m / m.sum(1, keepdims=True)).T
            q = len(table)
            return np.array([np.trace(table) / q, (table.sum() - np.trace(table)) / (q * q - q)])
        ---
        def answer(maps, masks):
            shares = maps.relu().flatten(1) @ masks.flatten(1).float().T / maps.relu().sum((1, 2))[:, None]
            own = shares.diag().mean()
            other = np.mean([float(shares[i, j]) for i, j in itertools.permutations(range(len(maps)), 2)])
            return [own, other]
    """,
    "13-falls": """
        def answer(ask, image, masks):
            before = ask(image[None])[0].log_softmax(0)
            best = int(before.argmax())
            found = []
            for mask in masks:
                picture = image.clone()
                for channel in range(3):
                    picture[channel][mask] = image[channel].mean()
                found.append(float(before[best] - ask(picture[None])[0].log_softmax(0)[best]))
            return found
        ---
        def answer(ask, image, masks):
            m = masks[:, None].float()
            pictures = m * image.mean(-1).mean(-1)[None, :, None, None] + (1 - m) * image
            y, z = ask(image[None]), ask(pictures)
            a = y.argmax()
            return (y[0, a] - y.logsumexp(1)) - (z[:, a] - z.logsumexp(1))
        ---
        def answer(ask, image, masks):
            p = ask(image[None]).softmax(1)[0]
            c, gray = p.argmax(), image.mean((1, 2), keepdim=True)
            after = [ask(torch.where(mask, gray, image)[None]).softmax(1)[0, c] for mask in masks]
            return [(p[c] / q).log().item() for q in after]
    """,
    "13-write": """
        def answer(next_word, end, longest):
            words, logs = [], []
            for _ in range(longest):
                value, word = next_word(words).max(0)
                words.append(word.item())
                logs.append(value)
                if word == end:
                    break
            return words, sum(logs)
        ---
        def answer(next_word, end, longest):
            words = []
            while not words or (words[-1] != end and len(words) < longest):
                words = words + [int(np.argmax(next_word(words).numpy()))]
            return [torch.tensor(words), sum(float(next_word(words[:t])[w]) for t, w in enumerate(words))]
        ---
        def answer(next_word, end, longest):
            def go(words, total):
                if len(words) == longest or end in words:
                    return words, total
                values = next_word(words)
                word = int(values.argmax())
                return go([*words, word], total + float(values[word]))
            return go([], 0.0)
    """,
    "14-box_in_picture": """
        def answer(box, width, height, size):
            side = min(width, height)
            scale = side / size
            return [box[0] * scale + (width - side) / 2, box[1] * scale + (height - side) / 2, box[2] * scale + (width - side) / 2, box[3] * scale + (height - side) / 2]
        ---
        def answer(box, width, height, size):
            side = min(width, height)
            margin = np.array([width - side, height - side] * 2) / 2
            return margin + np.array(box) * side / size
        ---
        def answer(box, width, height, size):
            side = min(width, height)
            center = torch.tensor([width, height, width, height]) / 2
            return (torch.tensor(box) - size / 2) * (side / size) + center
        ---
        def answer(box, width, height, size):
            if width > height:
                return tuple(v * height / size + (i % 2 == 0) * (width - height) / 2 for i, v in enumerate(box))
            return tuple(v * width / size + (i % 2) * (height - width) / 2 for i, v in enumerate(box))
    """,
    "14-how_unusual": """
        sum(value <= after for value in [after, *random]) / (len(random) + 1)
        (1 + sum(1 for value in random if value <= after)) / (1 + len(random))
        np.mean(np.array([*random, after]) <= after)
        (torch.tensor([after] + random) <= after).float().mean()
        (np.sum(np.asarray(random) <= after) + 1) / (len(random) + 1)
        fractions.Fraction(1 + len([v for v in random if not v > after]), 1 + len(random))
        (torch.searchsorted(torch.tensor(sorted(random)), torch.tensor(after), right=True) + 1) / (len(random) + 1)
    """,
    "14-excess_flips": """
        def answer(net, images, feared, control):
            keep = [i for i in range(len(images)) if not torch.equal(images[i], feared[i])]
            one = [int(net(images[i : i + 1]).argmax()) for i in keep]
            two = [int(net(feared[i : i + 1]).argmax()) for i in keep]
            three = [int(net(control[i : i + 1]).argmax()) for i in keep]
            return (sum(a != b for a, b in zip(one, two)) - sum(a != b for a, b in zip(one, three))) / len(keep)
        ---
        def answer(net, images, feared, control):
            changed = ((images - feared) != 0).any(dim=(1, 2, 3))
            first = net(images).argmax(1)
            flips = [(net(x).argmax(1) != first)[changed].double().mean() for x in (feared, control)]
            return flips[0] - flips[1]
        ---
        def answer(net, images, feared, control):
            changed = (images - feared).abs().amax((1, 2, 3)) > 0
            first = net(images).argmax(-1)
            flips = lambda x: (net(x).argmax(-1) != first).float()
            return ((flips(feared) - flips(control)) * changed).sum() / changed.sum()
    """,
    "14-same_shape": """
        def answer(net, image, c, mask):
            from course_utils.explain import cover
            cells = mask.nonzero()
            cells = cells - cells.amin(0)
            height, width = (cells.amax(0) + 1).tolist()
            logits = []
            for i in range(mask.shape[0] - height + 1):
                for j in range(mask.shape[1] - width + 1):
                    moved = torch.zeros(mask.shape, dtype=torch.bool)
                    moved[cells[:, 0] + i, cells[:, 1] + j] = True
                    logits.append(net(cover(image, moved))[0, c])
                    if torch.equal(moved, mask):
                        own = logits[-1]
            return np.mean([float(value <= own) for value in logits])
        ---
        def answer(net, image, c, mask):
            k = image.shape[-1] // mask.shape[-1]
            places = []
            for i in range(-3, 4):
                for j in range(-3, 4):
                    moved = mask.roll((i, j), (0, 1))
                    cells = mask.nonzero() + torch.tensor([i, j])
                    if (cells >= 0).all() and (cells < 4).all():
                        places.append(moved)
            pixels = torch.stack(places).repeat_interleave(k, 1).repeat_interleave(k, 2)[:, None]
            own = [torch.equal(one, mask) for one in places].index(True)
            logits = net(torch.where(pixels, image.mean(), image))[:, c]
            return (logits <= logits[own]).float().mean()
        ---
        def answer(net, image, c, mask):
            n, k = len(mask), image.shape[-1] // mask.shape[-1]
            logits = {}
            for i in range(-n + 1, n):
                for j in range(-n + 1, n):
                    places = mask.nonzero() + torch.tensor([i, j])
                    if places.min() >= 0 and places.max() < n:
                        picture = image.clone()
                        for row, column in places.tolist():
                            picture[..., k * row : k * row + k, k * column : k * column + k] = image.mean()
                        logits[i, j] = net(picture)[0, c].item()
            return sum(value <= logits[0, 0] for value in logits.values()) / len(logits)
    """,
}


# An answer, and words that its message must have.
WRONG_ANSWERS = [
    ("00-chance", "0.12", "Not yet: 0.12 is not it."),
    ("00-chance", "lambda: 0.125", "value itself"),
    ("00-most_probable", "[names[i] for i in logits.argsort(descending=True)[:top]]", "expected"),
    ("01-output_size", "n // 0", "Your code raised ZeroDivisionError"),
    ("01-clipped_window", "exercises.ex01_cnn_output_size.clipped_window(layers[::-1], i, n)", "Not yet"),
    ("02-store_output", "None", "module.seen holds NoneType"),
    ("02-gradient_at", "head(trunk(image))[0, 99]", "IndexError"),
    (
        "02-gradient_at",
        "torch.autograd.grad(head(trunk(image))[0, c], image)",
        "Your code raised RuntimeError",
    ),
    ("02-silence", "lambda module, inputs, output: [output]", "a tensor, and not a list"),
    (
        "02-stored_outputs",
        """
        @contextlib.contextmanager
        def answer(model, names):
            found, handles = {}, []
            try:
                for name in names:
                    module = model.get_submodule(name)
                    handles.append(module.register_forward_hook(lambda m, i, o: found.update({name: o.detach().clone()})))
                yield found
            finally:
                for handle in handles:
                    handle.remove()
        """,
        "under the last name",
    ),
    (
        "02-stored_outputs",
        """
        @contextlib.contextmanager
        def answer(model, names):
            found, handles = {}, []
            for name in names:
                handles.append(model.get_submodule(name).register_forward_hook(lambda m, i, o: found.update({name: o.detach().clone()})))
            yield found
            for handle in handles:
                handle.remove()
        """,
        "under the last name",
    ),
    (
        "02-stored_outputs",
        """
        @contextlib.contextmanager
        def answer(model, names):
            found, handles = {}, []
            def store_as(name):
                def hook(module, inputs, output):
                    found[name] = output.detach().clone()
                return hook
            try:
                for name in names:
                    handles.append(model.get_submodule(name).register_forward_hook(store_as(name)))
                yield found
            except Exception as error:
                raise RuntimeError(str(error))
            finally:
                for handle in handles:
                    handle.remove()
        """,
        "came out as another one",
    ),
    (
        "02-stored_outputs",
        """
        @contextlib.contextmanager
        def answer(model, names):
            found = {}
            def store_as(name):
                def hook(module, inputs, output):
                    found[name] = output.detach().clone()
                return hook
            try:
                for name in names:
                    model.get_submodule(name).register_forward_hook(store_as(name))
                yield found
            finally:
                for module in model.modules():
                    module._forward_hooks.clear()
        """,
        "You removed all hooks of the modules",
    ),
    ("03-class_map", "(weights[:, None, None] * activations).sum(0).T", "Not yet: the result is"),
    ("03-two_weights", "(gradients.mean((1, 2)),)", "1 result was returned, expected 2"),
    ("04-weights", "torch.full(gradient.shape[:2], float('nan'))", "nan"),
    (
        "04-heatmap",
        "(lambda raw: raw / raw.max() if raw.max() > 0 else 0 * raw)(torch.tensordot(alpha, activations, 1))",
        "ReLU of equation (3) is missing: cells",
    ),
    (
        "04-heatmap",
        "(lambda raw: raw / raw.max() if raw.max() > 0 else raw)(torch.tensordot(alpha, activations, 1))",
        "ReLU of equation (3) is missing: cells",
    ),
    ("04-times_chance", "heat.mul_(mask).sum()", "changed its input"),
    (
        "05-guided_gradient",
        "w1.T @ ((w2.relu().T @ (w3.relu() * (w2 @ (w1 @ x).relu() > 0))) * (w1 @ x > 0))",
        "Not yet",
    ),
    (
        "05-fuse",
        "(lambda heat: gradients * heat / heat.max() if heat.max() > 0 else 0 * gradients)(F.interpolate(raw[None, None], gradients.shape[1:], mode='bilinear')[0])",
        "The ReLU is missing",
    ),
    ("06-area_under", "torch.trapezoid(values.abs(), shares)", "Not yet"),
    ("06-fewest_squares", "[0 for _ in iter(lambda: logits([0]), None)]", "your search does not end"),
    ("06-fewest_squares", "logits", "a picture of 4 squares"),
    ("07-largest_box", "tuple(v + 0.5 for v in exercises.ex07_localization.largest_box(mask))", "Not yet"),
    (
        "07-error",
        "exercises.ex07_localization.error(guesses, boxes, labels, instances, 1)",
        "first guess alone",
    ),
    (
        "08-iou",
        "exercises.ex08_segmentation.iou(found, truth) if truth.any() else math.nan",
        "nan, expected 0",
    ),
    (
        "08-seeds",
        "exercises.ex08_segmentation.seeds(heat, c, foreground, background).float()",
        "their type is torch.float32",
    ),
    (
        "08-seeds",
        "exercises.ex08_segmentation.seeds(heat, c, foreground, background).int()",
        "their type is torch.int32",
    ),
    (
        "08-seeds",
        "torch.where(heat == background * heat.max(), 0, exercises.ex08_segmentation.seeds(heat, c, foreground, background))",
        "Not yet",
    ),
    ("08-rank_pooling", "exercises.ex08_segmentation.rank_pooling(f.relu(), d)", "Not yet"),
    (
        "09-sorter",
        "exercises.ex09_failure_modes.sorter(contrasts, neighbor) if not contrasts or contrasts['object'] else 0",
        "KeyError",
    ),
    (
        "10-l2_projection",
        "torch.stack([d / d.norm() * min(float(d.norm()), epsilon) for d in delta])",
        "nan",
    ),
    ("11-group_table", "torch.zeros(2, 2)", "Not yet"),
    ("12-laundered", "list(nets)[:1]", "Not yet"),
    ("13-caption_score", "float('inf')", "inf, expected"),
    ("14-excess_flips", "0.5", "Not yet"),
]


def written(text):
    """The answers of a table: lines before the first `---` stand for themselves, then comes a function each."""
    lines, *functions = textwrap.dedent(text).strip().split("\n---\n")
    if lines.startswith(("def ", "class ", "@", "from ")):
        return [lines, *functions]
    return [*lines.splitlines(), *functions]


def handed_in(code, parameters):
    """What a learner who wrote this hands in: a function, or a value where there are no parameters."""
    space = dict(KNOWN)
    if code.startswith(("def ", "class ", "@", "from ")):
        exec(code, space)
        return space["answer"]
    return eval(code if parameters is None else f"lambda {', '.join(parameters)}: {code}", space)


CASES = [(name, code) for name, text in RIGHT.items() for code in written(text)]


@pytest.mark.parametrize(("name", "code"), CASES)
def test_a_right_answer_is_accepted(name, code):
    exercise = EXERCISES[name]
    is_function = callable(exercise.model_answer)
    parameters = list(inspect.signature(exercise.model_answer).parameters) if is_function else None
    feedback = exercise.check(handed_in(code, parameters))
    assert feedback.state == CORRECT, f"{feedback}\n{code}"


@pytest.mark.parametrize(("name", "code", "words"), WRONG_ANSWERS)
def test_a_wrong_answer_is_told_what_is_wrong(name, code, words):
    exercise = EXERCISES[name]
    is_function = callable(exercise.model_answer)
    parameters = list(inspect.signature(exercise.model_answer).parameters) if is_function else None
    feedback = exercise.check(handed_in(textwrap.dedent(code).strip(), parameters))
    assert feedback.state == WRONG and words in feedback.message, feedback


def test_every_exercise_has_right_answers_in_several_styles():
    assert set(RIGHT) == set(EXERCISES)
    assert len(CASES) >= 250 and min(len(written(text)) for text in RIGHT.values()) >= 3
