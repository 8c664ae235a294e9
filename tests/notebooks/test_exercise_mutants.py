"""Do the inputs tell right from wrong? Every small change of every model answer must be rejected, or change nothing.

A mutant is a model answer with one thing changed: an operator, a comparison, a number, an argument, a method, a
statement, a condition. One that is accepted either computes the same for everything that the statement allows, and
stands in EQUAL with the reason, or shows that an input is missing.
"""

# ruff: noqa: E501 - a mutant is a line

from __future__ import annotations

import ast
import contextlib
import copy
import functools
import importlib
import itertools
import pkgutil
import re
import warnings
from collections.abc import Iterator

import pytest

from course_utils import exercises
from course_utils.exercises import CORRECT, Exercise, engine, table

EXERCISES = {
    f"{module.name[2:4]}-{name}": exercise
    for module in pkgutil.iter_modules(exercises.__path__)
    if module.name.startswith("ex") and module.name[2:4].isdigit()
    for name, exercise in vars(importlib.import_module(f"course_utils.exercises.{module.name}")).items()
    if isinstance(exercise, Exercise) and callable(exercise.model_answer)
}

# Where a name holds nothing below 0, by the statement or by what was done before, relu and abs do nothing.
NOT_NEGATIVE = {
    "00-share_of_energy": "heat mask Return",
    "00-most_probable": "probabilities best i",
    "01-output_size": "Return",
    "01-same_padding": "Return",
    "01-receptive_field": "Return",
    "03-class_map": "activations",
    "03-map_for_pooling": "activations",
    "04-heatmap": "activations positive Return",
    "04-times_chance": "heat mask energy Return",
    "04-probability_map": "p",
    "05-guided_rule": "Return",
    "05-guided_gradient": "g1 g2",
    "05-fuse": "heat",
    "05-picture": "limit Return",
    "06-counterfactual": "activations Return",
    "06-area_under": "shares",
    "06-fewest_squares": "original",
    "07-overlap": "Return",
    "07-error": "Return",
    "08-iou": "found truth union Return",
    "08-seeds": "heat peak",
    "08-seeding": "labeled Return",
    "08-rank_pooling": "weights",
    "08-told": "labels Return",
    "08-seeds_and_blind": "A masks labels places",
    "09-falls": "image covered",
    "09-temperature": "right Return",
    "09-calibration_error": "confidence right inside Return",
    "10-smallest_epsilon": "Return",
    "10-l2_projection": "length",
    "10-robust_accuracy": "version versions labels right Return",
    "10-expected_gradient": "images leaf loss labels",
    "11-energy_and_area": "positive mask area Return",
    "11-group_table": "predicted labels grounds right table group Return",
    "11-group_weights": "labels grounds group sizes Return",
    "11-flip_rate": "Return",
    "11-risers": "stamped control Return",
    "11-held_out_rise": "clean",
    "12-highest_flip_rates": "found",
    "12-laundered": "clean stamped maps corner energy flips",
    "12-energy_in_view": "positive Return",
    "12-needed_prevalence": "sensitivity specificity target false Return",
    "13-caption_score": "words",
    "13-log_probability_map": "p",
    "13-own_and_shuffled": "energy masks inside share own Return",
    "13-falls": "image color covered masks answer Return",
    "14-how_unusual": "Return",
    "14-same_shape": "image rows columns",
    "14-excess_flips": "x images feared control first after beside",
}

# Mutants that no input can tell from the answer, and why: a line as it is after the change, the reason below.
EQUAL = {
    "00-most_probable": """
        probabilities = logits.softmax(-1)
            A vector's only axis is its last.
        return [(names[i], float(probabilities[i])) for i in best]
            A tensor with a whole number is an index.
    """,
    "01-same_padding": """
        return d * (f - 1) / 2
            f is odd: nothing to round.
    """,
    "02-gradient_at": """
        return found[-1]
            There is one gradient.
    """,
    "02-silence": """
        def hook(inputs, module, output):
            Neither of the two is used.
    """,
    "02-stored_outputs": """
        def hook(inputs, module, output):
            Neither of the two is used.
        for name in list(names)[::-1]:
        for handle in list(handles)[::-1]:
            In which order hooks come and go does not matter.
    """,
    "03-two_weights": """
        w = gradients.sum((2, 1))
        alpha = gradients.mean((2, 1))
            The order of axes to sum over does not matter.
    """,
    "03-map_for_pooling": """
        z = activations[1].numel()
        z = activations[-1].numel()
            All channels have as many cells.
        alpha = weights / z if pooling <= 'mean' else weights
            There are two poolings, and "sum" comes behind.
    """,
    "04-weights": """
        return gradient.mean((3, 2))
            The order of axes to sum over does not matter.
    """,
    "04-heatmap": """
        positive = (alpha[:, None, None] * activations).mean(0).relu()
            The maximum takes a constant factor away.
        return positive / positive.max() if positive.max() != 0 else positive
            After the ReLU nothing is below 0.
    """,
    "04-probability_map": """
        p = logits.softmax(-1)
            A vector's only axis is its last.
    """,
    "05-guided_rule": """
        return g.relu() * (z.relu() > 0)
            relu leaves what is above 0.
    """,
    "05-guided_gradient": """
        g2 = w3.relu() * (z2.relu() > 0)
        g1 = (w2.T @ g2).relu() * (z1.relu() > 0)
            relu leaves what is above 0.
    """,
    "05-fuse": """
        heat = F.interpolate(raw.relu()[None, None], gradients.shape[1:], mode='bilinear')[0]
            The default does not align corners.
        heat = F.interpolate(raw.relu()[None, None], gradients.shape[1:], mode='bilinear', align_corners=False)[-1]
            There is one image.
        return gradients * heat / heat.max() if heat.max() != 0 else torch.zeros_like(gradients)
            After the ReLU nothing is below 0.
    """,
    "05-picture": """
        limit = v.abs().quantile(0.99)
            quantile flattens by itself.
    """,
    "06-counterfactual": """
        alpha = -gradient.mean((2, 1))
            The order of axes to sum over does not matter.
    """,
    "06-fewest_squares": """
        while len(covered) != squares and logits(covered).argmax() == original:
            The list grows by one, so that it meets the number.
        covered.append(min(left, key=lambda square: float(logits([square, *covered])[original])))
            Covered squares have no order for the network.
    """,
    "07-overlap": """
        def overlap(b, a):
        area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (b, a))
            IoU is symmetric.
    """,
    "07-largest_box": """
        if number < 0:
        if number <= 0:
        if -number == 0:
        if number == -1:
        return abs(None)
            At least one pixel is marked, by the statement.
    """,
    "07-error": """
        for row, found, label, truth in list(zip(guesses, boxes, labels, instances, strict=True))[::-1]:
            The order of pictures does not matter.
        for row, found, label, truth in zip(guesses, boxes, labels, instances):
        for row, found, label, truth in zip(guesses, boxes, labels, instances, strict=False):
        misses += not any((guess == label and any((_iou(box, one) >= 0.5 for one in truth)) for guess, box in zip(row[:top], found[:top])))
        misses += not any((guess == label and any((_iou(box, one) >= 0.5 for one in truth)) for guess, box in zip(row[:top], found[:top], strict=False)))
            The rows are equally long.
        misses += not any((guess == label and any((_iou(one, box) >= 0.5 for one in truth)) for guess, box in zip(row[:top], found[:top], strict=True)))
            IoU is symmetric.
    """,
    "08-iou": """
        def iou(truth, found):
            IoU is symmetric.
        pass
        if union < 0:
        if union == -1:
            0 / 0 of tensors is nan already.
        if union <= 0:
            A number of pixels is not below 0.
    """,
    "08-seeds": """
        if peak != 0:
            The map is not below 0, by the statement.
    """,
    "08-seeding": """
        labeled = seeds > -1
            No seed is below -1.
        return 0
        return log_f.mean() * 0
        return (-log_f).sum() * 0
        return log_f.relu().sum() * 0
        return log_f.abs().sum() * 0
            0 in any wrapping.
        chosen = log_f.gather(0, seeds.relu().clamp(min=0)[None])[0]
        chosen = log_f.gather(0, seeds.abs().clamp(min=0)[None])[0]
            What is picked where no seed is, is left out.
        chosen = log_f.gather(0, seeds.clamp(min=0)[None])[-1]
            There is one row.
    """,
    "08-rank_pooling": """
        weights = d ** torch.arange(len(ranked))
            A broken number to the power of whole ones is broken.
    """,
    "08-told": """
        return own >= logits[:, 0]
            No two logits are equal.
    """,
    "08-seeds_and_blind": """
        for heat in (torch.einsum('nc,nchw->nhw', weight[labels], A), A.mean(1):
            A mean orders cells as a sum does.
    """,
    "09-wrong_ones": """
        answers = logits.argmax(1)
            A tensor of one number is in a list of numbers that holds it.
    """,
    "09-falls": """
        for part, mask in list(masks.items())[::-1]:
            Each part is painted over alone, in any order.
    """,
    "09-temperature": """
        candidates = torch.logspace(-1.3, 1.3, 1000)
        candidates = torch.logspace(-1.3, 1.3, 1001).tolist()
        candidates = torch.logspace(-1.3, 1.3, 999).tolist()
        candidates = torch.logspace(-1.3, 2.3, 1000).tolist()
        candidates = torch.logspace(-2.3, 1.3, 1000).tolist()
        candidates = torch.logspace(1.3, -1.3, 1000).tolist()
            A grid that is dense enough and holds the temperature between its ends.
    """,
    "09-sorter": """
        return NEIGHBOR if -neighbor else STRANGER
            -True counts as true.
        return OTHER if part >= 'other object' else CONTEXT
            There are three parts, and "context" comes before.
    """,
    "09-calibration_error": """
        for m in list(range(bins))[::-1]:
            The order in a sum does not matter.
        gap = confidence[inside].mean() - right[inside].float().mean()
            The gap loses its sign.
    """,
    "10-smallest_epsilon": """
        return float((x @ w + b).abs() / w.abs().sum())
            A product of two vectors is symmetric.
    """,
    "10-l2_projection": """
        length = (-delta).flatten(1).norm(dim=1)[:, None, None, None]
        length = delta.abs().flatten(1).norm(dim=1)[:, None, None, None]
            A length has no sign.
    """,
    "10-expected_gradient": """
        leaf = images.requires_grad_()
            The images are a copy already.
    """,
    "11-energy_and_area": """
        pass
        if positive.sum() < 0:
        if positive.sum() == -1:
            0 / 0 of tensors is nan already.
        if positive.sum() <= 0:
        if positive.mean() == 0:
            No value is below 0, so that both are 0 together.
    """,
    "11-group_table": """
        for c in list((0, 1))[::-1]:
        for c in (1, 0):
        for g in list((0, 1))[::-1]:
        for g in (1, 0):
            The order of the groups does not matter.
        table[-c, g] = right[group].mean()
        table[c, -g] = right[group].mean()
            Of two rows, -1 is 1.
    """,
    "11-group_weights": """
        def group_weights(grounds, labels):
        group = 3 * labels + grounds
            Each group has a number of its own.
        sizes = torch.bincount(group)
        sizes = torch.bincount(group, minlength=5)
        sizes = torch.bincount(group, minlength=3)
            Groups without pictures are not looked up.
        present = int((sizes != 0).sum())
            A number of pictures is not below 0.
        return len(labels) / (present * sizes[group])
            Dividing makes broken numbers.
    """,
    "11-risers": """
        beyond = (model(stamped) - model(control)).sum(0)
            The order is the same.
    """,
    "11-held_out_rise": """
        u = -d / d.norm(dim=1, keepdim=True)
        u = d / (-d).norm(dim=1, keepdim=True)
        u = d / d.abs().norm(dim=1, keepdim=True)
        d = change - change.sum(0)
            A direction and its opposite are one line.
    """,
    "11-flip_rate": """
        def flip_rate(second, first):
            Differing is symmetric.
    """,
    "12-highest_flip_rates": """
        before = net(clean.abs()).argmax(1)
        before = net(clean.relu()).argmax(1)
        rates = [float((net(pictures.abs()).argmax(1) != before).float().mean()) for pictures in trials]
        rates = [float((net(pictures.relu()).argmax(1) != before).float().mean()) for pictures in trials]
            No pixel is below 0.
        rates = [float((net(pictures).argmax(1) != before.abs()).float().mean()) for pictures in trials]
        rates = [float((net(pictures).argmax(1) != before.relu()).float().mean()) for pictures in trials]
            Nor is the number of a class.
    """,
    "12-laundered": """
        energy = (maps * corner).sum((1, 2)) / maps.sum((2, 1))
        energy = (maps * corner).sum((2, 1)) / maps.sum((1, 2))
            The order of axes to sum over does not matter.
        if energy.mean() <= corner.float().mean() and flips >= 0.5:
            No mean is exactly the area.
        maps = grad_cam(net, stamped, 1).heatmaps()[:, -1]
            One class was asked for.
    """,
    "12-energy_in_view": """
        if positive.mean() == 0:
        if positive.sum() < 0:
        if positive.sum() <= 0:
        if positive.sum() == -1:
            No value is below 0; and 0 / 0 of tensors is nan already.
        seen = torch.tensor([[text[a:b, c:d].any() for c, d in windows] for a, b in windows])
            A tensor with one number is as good as the number.
    """,
    "13-caption_score": """
        chosen = logs.gather(1, words[:, None])[:, -1]
            There is one column.
        return chosen[words > 0].sum()
            Words have numbers from 0.
    """,
    "13-log_probability_map": """
        p = logits.softmax(-1)
            A vector's only axis is its last.
    """,
    "13-falls": """
        color = image.mean((2, 1), keepdim=True)
            The order of axes to average over does not matter.
    """,
    "13-write": """
        while len(words) != longest and end not in words:
            The list grows by one, so that it meets the number.
    """,
    "13-own_and_shuffled": """
        share = inside / energy.sum((2, 1))
            The order of axes to sum over does not matter.
    """,
    "14-same_shape": """
        for i in list(range(mask.shape[0] - shape.shape[0] + 1))[::-1]:
        for j in list(range(mask.shape[1] - shape.shape[1] + 1))[::-1]:
            The order of the places does not matter.
        for i in range(mask.shape[-1] - shape.shape[0] + 1):
        for i in range(mask.shape[1] - shape.shape[0] + 1):
        for j in range(mask.shape[0] - shape.shape[1] + 1):
            The grid is as high as it is wide, by the statement.
        logits = torch.stack([net(cover(image, one))[-1, c] for one in masks])
        return float((logits <= net(cover(image, mask))[-1, c]).float().mean())
        rows, columns = (mask.any(1).nonzero()[:, -1], mask.any(0).nonzero()[:, 0])
        rows, columns = (mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, -1])
            There is one row, or one column.
        rows, columns = (mask.nonzero()[:, 0], mask.any(0).nonzero()[:, 0])
            The first and the last are the same.
        return abs(float((logits <= net(cover(image, mask))[0, c]).float().mean()))
            A share is not below 0.
    """,
}

# ---------------------------------------------------------------- how answers are changed
OPERATORS = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add, ast.Div),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv, ast.Sub),
    ast.FloorDiv: (ast.Div, ast.Mult),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr, ast.BitXor),
    ast.BitOr: (ast.BitAnd, ast.BitXor),
}
ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
METHODS = {
    **{"max": ["min"], "min": ["max"], "sum": ["mean"], "mean": ["sum"], "any": ["all"], "all": ["any"]},
    **{"argmax": ["argmin"], "relu": ["abs"], "abs": ["relu"], "softmax": ["log_softmax"], "sign": ["abs"]},
    **{"log_softmax": ["softmax"], "clip": ["abs"], "clamp": ["abs"]},
}


# A tensor with one number is as good as the number, a float as an integer; names behind these have no sign.
UNWRAPPED = ("float", "int", "len")
SIGNLESS = ("shape", "numel", "dtype", "zeros_like", "len", "relu", "abs")


def changes_of(node: ast.AST) -> Iterator[ast.AST | None]:
    """Other nodes in the place of this one; None takes a statement away."""
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
        for other in OPERATORS.get(type(node.op), ()):
            yield ast.BinOp(node.left, other(), node.right)
        if not isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield from node.values
    elif isinstance(node, ast.Compare):
        opposite = {ast.In: ast.NotIn, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.NotIn: ast.In}
        kind = type(node.ops[0])
        for other in ORDERS if kind in ORDERS else (opposite[kind],):
            if other is not kind:
                yield ast.Compare(node.left, [other()], node.comparators)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
    elif isinstance(node, ast.Call):
        yield from changes_of_call(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield ast.UnaryOp(ast.USub(), node)
        for method in ("relu", "abs"):
            yield ast.Call(ast.Attribute(node, method, ast.Load()), [], [])
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse, ast.IfExp(node.test, node.orelse, node.body))
    elif isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Load):
        yield from (type(node)(order, node.ctx) for order in neighbors_swapped(node.elts))
    elif isinstance(node, ast.Slice):
        if node.lower:
            yield ast.Slice(None, node.upper, node.step)
        if node.upper:
            yield ast.Slice(node.lower, None, node.step)
    elif isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield ast.comprehension(node.target, node.iter, [ast.UnaryOp(ast.Not(), test)], 0)
            yield ast.comprehension(node.target, node.iter, [], 0)
    else:
        yield from changes_of_statement(node)


def changes_of_statement(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.If | ast.While):
        yield type(node)(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        yield None
    elif isinstance(node, ast.Assign | ast.AugAssign | ast.Expr | ast.For):
        yield None
        if isinstance(node, ast.For):
            backward = ast.parse(f"list({ast.unparse(node.iter)})[::-1]", mode="eval").body
            yield ast.For(node.target, backward, node.body, node.orelse, lineno=1)
        if isinstance(node, ast.AugAssign):
            yield ast.Assign([node.target], node.value, lineno=1)
    elif isinstance(node, ast.Return):
        yield ast.Return(ast.Call(ast.Name("abs", ast.Load()), [node.value], []))
    elif isinstance(node, ast.arguments):
        for one, another in itertools.combinations(range(len(node.args)), 2):
            swapped = copy.deepcopy(node)
            swapped.args[one], swapped.args[another] = swapped.args[another], swapped.args[one]
            yield swapped


def changes_of_call(node: ast.Call) -> Iterator[ast.AST]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in UNWRAPPED:
        return
    if isinstance(function, ast.Attribute):
        yield function.value  # without the method
        for other in METHODS.get(function.attr, ()):
            yield ast.Call(ast.Attribute(function.value, other, ast.Load()), node.args, node.keywords)
    elif isinstance(function, ast.Name):
        for other in METHODS.get(function.id, ()):
            yield ast.Call(ast.Name(other, ast.Load()), node.args, node.keywords)
    yield from (argument for argument in node.args if not isinstance(argument, ast.Starred))
    for position in range(len(node.args)):
        yield ast.Call(function, [a for k, a in enumerate(node.args) if k != position], node.keywords)
    for position in range(len(node.keywords)):
        yield ast.Call(function, node.args, [a for k, a in enumerate(node.keywords) if k != position])
    if ast.unparse(function) not in ("max", "min"):
        for order in neighbors_swapped(node.args):
            yield ast.Call(function, order, node.keywords)


def neighbors_swapped(items: list) -> Iterator[list]:
    for k in range(len(items) - 1):
        yield [*items[:k], items[k + 1], items[k], *items[k + 2 :]]


class Changed(ast.NodeTransformer):
    """Puts another node in the place of the one that was numbered so."""

    def __init__(self, place: int, new: ast.AST | None) -> None:
        self.place, self.new, self.count = place, new, -1

    def visit(self, node: ast.AST) -> ast.AST | None:
        self.count += 1
        if self.count == self.place:
            return ast.Pass() if self.new is None else self.new
        return self.generic_visit(node)


def in_order(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes as Changed counts them."""
    yield node
    for child in ast.iter_child_nodes(node):
        yield from in_order(child)


@functools.cache
def mutants_of(name: str) -> dict[str, str]:
    """Each mutant's source, under its changed lines."""
    not_negative = NOT_NEGATIVE.get(name, "").split()
    tree = ast.parse(EXERCISES[name].solution().code)
    before = ast.unparse(tree)
    found = {}
    nodes = list(in_order(tree))
    signless = {
        id(inner)
        for node in nodes
        if isinstance(node, ast.Attribute | ast.Call)
        and (node.attr if isinstance(node, ast.Attribute) else ast.unparse(node.func).split(".")[-1])
        in SIGNLESS
        for inner in ast.iter_child_nodes(node)
    }
    signless |= {id(name) for node in nodes for name in getattr(node, "decorator_list", ())}
    for place, node in enumerate(nodes):
        if id(node) in signless and isinstance(node, ast.Name):
            continue
        if getattr(node, "id", type(node).__name__) in not_negative:
            continue
        for new in changes_of(node):
            source = ast.unparse(Changed(place, copy.deepcopy(new)).visit(copy.deepcopy(tree)))
            if source != before:
                found.setdefault(source, difference(before, source))
    return {what: source for source, what in found.items()}


def difference(before: str, after: str) -> str:
    """The changed lines in short."""
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    shown = " / ".join(line.strip() for line in new) or "without: " + " / ".join(line.strip() for line in old)
    return one_bracket(shown)


def one_bracket(line: str) -> str:
    """Pythons differ in how many brackets they put around what stands in brackets alone."""
    return re.sub(r"\)+", ")", re.sub(r"\(+", "(", line))


def handed_in(exercise: Exercise, source: str) -> object:
    answer = exercise.model_answer
    space = dict(getattr(answer, "__wrapped__", answer).__globals__)
    with contextlib.suppress(Exception):  # a decorator that cannot be negated
        exec(compile(source, "<mutant>", "exec"), space)
    name = next(n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef))
    return space.get(name, lambda *arguments: None)


def equal_to(name: str) -> set[str]:
    return {one_bracket(line) for line, *_ in table._entries(EQUAL.get(name, ""))}


def accepted_of(name: str) -> set[str]:
    """The mutants that the check accepts."""
    exercise = EXERCISES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a wrong axis, a tensor where a number belongs
        return {
            what
            for what, source in mutants_of(name).items()
            if exercise.check(handed_in(exercise, source)).state == CORRECT
        }


@pytest.mark.parametrize("name", EXERCISES)
def test_each_mutant_is_rejected_or_is_equal(name, monkeypatch):
    monkeypatch.setattr(engine, "_LONGEST", 1)
    assert accepted_of(name) == equal_to(name)


def test_the_reasons_belong_to_mutants_and_are_there():
    assert set(EQUAL) | set(NOT_NEGATIVE) <= set(EXERCISES)
    for text in EQUAL.values():
        assert len(table._entries(text)[-1]) > 1, "the last lines have no reason"


def test_there_are_mutants_of_all_kinds():
    shown = [what for name in EXERCISES for what in mutants_of(name)]
    assert len(shown) > 2500
    for line in (
        "return gradient.sum((2, 3))",
        "return d * (f + 1) // 2",
        "module.seen = output.clone()",
        "if union != 0:",
    ):
        assert one_bracket(line) in shown
