"""Exercises of notebook 13: log-probabilities and their maps, a shuffled baseline, covering, writing word by word."""

from __future__ import annotations

import math

import torch
from torch import nn

from .engine import exercise
from .inputs import tensor_of
from .progress import progress as progress


def _caption_score_by_loop(logits, words):
    total = 0.0
    for row, word in zip(logits.tolist(), words.tolist(), strict=True):
        if word != 0:
            total += row[word] - math.log(sum(math.exp(value) for value in row))
    return torch.tensor(total, dtype=logits.dtype)


def _caption_inputs(rng):
    def logits(steps, words):
        return tensor_of(rng.normal(size=(steps, words)) * 2)

    return [
        (logits(4, 5), torch.tensor([2, 4, 3, 1])),
        (logits(5, 6), torch.tensor([5, 2, 1, 0, 0])),
        (logits(3, 4), torch.tensor([3, 1, 0])),
    ]


def _picked(values, words):
    return values.gather(1, words[:, None])[:, 0]


@exercise(
    "The log-probability of a caption: the sum of its words' log-probabilities, without padding.",
    inputs=_caption_inputs,
    reference=_caption_score_by_loop,
    called="caption_log_probability",
    hints="""
        logits.log_softmax(1) holds log p of every word at every step, (T, V).
        .gather(1, words[:, None]) picks from each row the word that stands there.
        words != 0 says which steps are words and not padding.
    """,
    mistakes="""
        _picked(logits, words)[words != 0].sum()
            You added logits. Raise all logits of a step by the same number: no word becomes likelier, yet your sum
            grows. Take log_softmax over the vocabulary first.
        _picked(logits.log_softmax(1), words).sum()
            Padding was counted: behind the end of the caption there is no word (number 0), so there is nothing to be
            likely. Leave those steps out.
        _picked(logits.softmax(1), words)[words != 0].sum()
            You added probabilities. The words' probabilities are multiplied; it is their logarithms that add up.
        _picked(logits.softmax(1), words)[words != 0].prod()
            That is the caption's probability. Asked for is its logarithm: for a long caption the product itself becomes
            too small to compute with.
        _picked(logits.log_softmax(1), words)[words != 0].mean()
            That is the mean. The caption's log-probability is the sum; dividing by the length would only scale the map,
            but it is another number.
        torch.nn.functional.cross_entropy(logits, words, ignore_index=0)
            cross_entropy is the loss: the *mean* of *minus* log p. Asked for is the sum, and its sign is not turned.
        _picked(logits.log_softmax(1), words)[words > 1].sum()
            The end of the caption (number 1) is missing. It has a probability, too; only 0 is no word.
        _picked(logits.softmax(1), words)[words != 0].sum().log()
            You took the logarithm of a sum of probabilities. Take each word's logarithm, then add.
        logits.log_softmax(1)[:, words[words != 0]].sum()
            Indexing with `[:, words]` takes every word at every step. Each step has one word: gather.
        logits.log_softmax(1).amax(1)[words != 0].sum()
            You took the likeliest word of each step. The caption is given: take the word that stands in it, likely or
            not.
        _picked(logits.log_softmax(0), words)[words != 0].sum()
            The softmax runs over the steps. Each step chooses among the words: normalize over the vocabulary, dim 1.
        -_picked(logits.log_softmax(1), words)[words != 0].sum()
            The sign: that is the loss, which training lowers. The score to explain is the log-probability itself, which
            is never above 0.
    """,
)
def caption_score(logits, words):
    logs = logits.log_softmax(1)  # (T, V)
    chosen = logs.gather(1, words[:, None])[:, 0]  # log p of each word that stands there
    return chosen[words != 0].sum()


def _log_probability_map_by_loop(maps, logits, w):
    weights = [math.exp(value) for value in logits.tolist()]
    total = sum(weights)
    result = torch.zeros_like(maps[0])
    for v, weight in enumerate(weights):
        result += ((1.0 if v == w else 0.0) - weight / total) * maps[v]
    return result


def _map_inputs(rng):
    return [
        (tensor_of(rng.normal(size=(v, 3, 4))), tensor_of(rng.normal(size=v) * 1.5), w)
        for v, w in ((3, 0), (5, 4), (2, 1))
    ]


@exercise(
    "The raw map of log p_w, from the raw maps of all logits.",
    inputs=_map_inputs,
    reference=_log_probability_map_by_loop,
    called="map_of_log_probability",
    hints="""
        log p_w = y_w - log sum_v exp(y_v). What is the derivative of the second part by y_v?
        It is p_v. The map is linear in the gradient, so the same combination holds for the maps.
        p[:, None, None] * maps weighs (V, h, w) maps by V numbers.
    """,
    mistakes="""
        maps[w]
            That is the map of the logit. log p_w also falls when another word's logit rises: subtract what speaks for
            the others, each by its probability (equation 3).
        maps[w] - maps.mean(0)
            You subtracted the plain mean of the maps. In the derivative of the log-sum-exp each map has the weight p_v:
            the likeliest rivals count most.
        (1 - logits.softmax(0)[w]) * maps[w]
            1 - p_w is the factor of the word's own map. The other words' maps are missing: each is subtracted with its
            p_v.
        maps[w] - (logits.softmax(0)[:, None, None] * maps).sum(0) + logits.softmax(0)[w] * maps[w]
            You left the word itself out of the sum. It runs over all words, w included: so the own map gets the factor
            1 - p_w.
        logits.softmax(0)[w] * (maps[w] - (logits.softmax(0)[:, None, None] * maps).sum(0))
            That is the map of p_w. The logarithm's derivative is 1 / p, which takes the factor p_w away again.
        maps[w].relu() - (logits.softmax(0)[:, None, None] * maps.relu()).sum(0)
            You took the ReLU before adding. The sum is over raw, signed maps: the ReLU comes last, and only for the
            picture.
        log_probability_map(maps, logits, w).relu()
            You took the ReLU of the result. Asked for is the raw map, with what speaks against the word: only so can
            the maps of a caption's words be added.
        maps[w] - (logits[:, None, None] * maps).sum(0)
            The weights of the others are their probabilities, not their logits: softmax first.
        maps[w] - (logits.log_softmax(0)[:, None, None] * maps).sum(0)
            You weighed by log p. The derivative of the log-sum-exp by y_v is p_v itself.
        maps[w] - (logits.softmax(0)[:, None, None] * maps).mean(0)
            The probabilities are the weights of a mean already: after multiplying by them, add up.
        maps[w] + (logits.softmax(0)[:, None, None] * maps).sum(0)
            The sign: log p_w is the logit *minus* the log-sum-exp.
        logits.softmax(0)[w] * maps[w]
            That weighs the word's own map by its probability. Its factor is 1 - p_w, and each other word's is -p_v.
        maps[w] - maps.logsumexp(0)
            You took the log-sum-exp of the maps. It is the score's; its *derivative* weighs the maps by p_v.
    """,
)
def log_probability_map(maps, logits, w):
    p = logits.softmax(0)
    return maps[w] - (p[:, None, None] * maps).sum(0)


def _own_and_shuffled_by_loop(maps, masks):
    own, other = [], []
    for q, mask in enumerate(masks.tolist()):
        for r, values in enumerate(maps.tolist()):
            cells = [
                (max(v, 0.0), m)
                for row, line in zip(values, mask, strict=True)
                for v, m in zip(row, line, strict=True)
            ]
            share = sum(v for v, m in cells if m) / sum(v for v, _ in cells)
            (own if q == r else other).append(share)
    return [sum(own) / len(own), sum(other) / len(other)]


def _inside(maps, masks):
    """The sum of map r in the object of question q, (Q, Q)."""
    return torch.einsum("rhw,qhw->qr", maps, masks.to(maps.dtype))


def _shares(maps, masks):
    return _inside(maps, masks) / maps.sum((1, 2))


def _own_and_others(table):
    others = table[~torch.eye(len(table), dtype=torch.bool)]
    return [float(table.diagonal().mean()), float(others.mean())]


def _energy_inputs(rng):
    return [
        (tensor_of(rng.normal(size=(q, h, w))), tensor_of(rng.random((q, h, w)) < 0.3))
        for q, h, w in ((2, 3, 3), (2, 4, 5), (3, 4, 5), (4, 4, 5))
    ]


@exercise(
    "Mean energy in the object asked about, under its own question and under the others.",
    inputs=_energy_inputs,
    reference=_own_and_shuffled_by_loop,
    hints="""
        For each map: relu, then the sum inside the mask over the sum everywhere.
        Make a table of shares (Q, Q): row q an object, column r a map. Which of its cells are which number?
        The diagonal holds the own questions; all cells but the diagonal are the baseline.
    """,
    mistakes="""
        [own_and_shuffled(maps, masks)[0], float(_shares(maps.relu(), masks).mean())]
            The second number contains the own questions, too, which pulls the baseline toward what it is compared with.
            Leave out q = r.
        [own_and_shuffled(maps, masks)[0], float(masks.double().mean())]
            The second number is the objects' share of the area. That is chance for a map that knows nothing; the
            shuffled baseline takes a map of the same picture, under another question.
        _own_and_others(_shares(maps, masks))
            Negative parts of the maps were counted, so that a share can exceed 1 or fall below 0. ReLU first.
        _own_and_others(_shares(maps.abs(), masks))
            You took absolute values: what speaks against the answer would count as looking at the object. Take the
            ReLU.
        [own_and_shuffled(maps, masks)[0], float(_shares(maps.relu(), masks).roll(1, 1).diagonal().mean())]
            You compared each question with one other only. With more than two questions the baseline is the mean over
            all the others.
        [own_and_shuffled(maps, masks)[0], float(_shares(maps.relu(), masks).flip(1).diagonal().mean())]
            Turning the order around pairs each question with one other, or with itself. With more than two questions
            the baseline is the mean over all the others.
        [own_and_shuffled(maps, masks)[0], float(_shares(maps.relu(), masks).roll(-1, 1).diagonal().mean())]
            You compared each question with its neighbor only. With more than two questions the baseline is the mean
            over all the others.
        _own_and_others(_inside(maps.relu(), masks) / maps.relu().sum((1, 2))[:, None])
            You divided by the energy of the wrong map. The share of map r in any object is over map r's own energy.
        own_and_shuffled(maps, masks)[::-1]
            The order: first the energy under the own question, then that under the others.
        [share * count for share, count in zip(own_and_shuffled(maps, masks), (len(maps), len(maps) * (len(maps) - 1)))]
            These are sums over the questions. Divide by how many there are: Q own ones, Q (Q - 1) others.
    """,
)
def own_and_shuffled(maps, masks):
    energy = maps.relu()  # (Q, h, w)
    inside = torch.einsum(
        "rhw,qhw->qr", energy, masks.to(energy.dtype)
    )  # of map r, in the object of question q
    share = inside / energy.sum((1, 2))
    own = share.diagonal()
    q = len(maps)
    return [float(own.mean()), float((share.sum() - own.sum()) / (q * (q - 1)))]


def _drawn(rng, net):
    """The network with weights drawn from ``rng``, in numbers that a message can show."""
    with torch.no_grad():
        for values in net.parameters():
            values.copy_(tensor_of(rng.normal(size=tuple(values.shape)) * 1.5))
    return net.eval()


class _Asked(nn.Module):
    """Stands in for a network that was asked a question: pictures (N, 3, H, W) to logits (N, answers)."""

    def __init__(self, rng, answers, side):
        super().__init__()
        layers = nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(4 * side**2, answers)
        self.net = _drawn(rng, nn.Sequential(*layers))

    @torch.no_grad()
    def forward(self, images):
        return self.net(images)


def _asked_inputs(rng):
    """In each case, covering some object changes the answer."""
    cases = []
    for answers, side, objects in [(3, 3, 2), (4, 4, 3), (5, 4, 2)]:
        changes = False
        while not changes:
            ask = _Asked(rng, answers, side)
            image, masks = (
                tensor_of(rng.random((3, side, side))),
                tensor_of(rng.random((objects, side, side)) < 0.6),
            )
            given = ask(torch.cat([image[None], _covered(image, masks, _mean_color(image))])).argmax(1)
            changes = bool((given[1:] != given[0]).any())
        cases.append((ask, image, masks))
    return cases


def _falls_by_loop(ask, image, masks):
    def logs(picture):
        row = ask(picture[None])[0].tolist()
        return [value - math.log(sum(math.exp(other) for other in row)) for value in row]

    whole = logs(image)
    answer = whole.index(max(whole))
    found = []
    for mask in masks:
        picture = image.clone()
        for channel in range(3):
            picture[channel][mask] = float(image[channel].double().mean())
        found.append(whole[answer] - logs(picture)[answer])
    return torch.tensor(found)


def _covered(image, masks, fill):
    return torch.where(masks[:, None], fill, image)


def _mean_color(image):
    return image.mean((1, 2), keepdim=True)


def _falls(ask, image, pictures, of=lambda logits: logits.log_softmax(1)):
    scores = of(ask(torch.cat([image[None], pictures])))
    answer = scores[0].argmax()
    return scores[0, answer] - scores[1:, answer]


def _own_answers(ask, image, masks):
    logs = ask(torch.cat([image[None], _covered(image, masks, _mean_color(image))])).log_softmax(1)
    return logs[0].max() - logs[1:].amax(1)


@exercise(
    "By how much does log p of the answer to the whole picture fall when each object is covered by the mean color?",
    inputs=_asked_inputs,
    reference=_falls_by_loop,
    hints="""
        image.mean((1, 2), keepdim=True) is the mean color, (3, 1, 1).
        torch.where(masks[:, None], color, image) has shape (Q, 3, H, W): object q is covered in picture q.
        ask(...) takes many pictures at once. The answer to follow is that of the whole picture, in all of them.
    """,
    mistakes="""
        _falls(ask, image, _covered(image, masks, _mean_color(image)), lambda logits: logits)
            You followed the logit. log p also rises and falls with the other answers' logits: log_softmax first.
        _falls(ask, image, _covered(image, masks, _mean_color(image)), lambda logits: logits.softmax(1))
            You followed the probability. Asked for is its logarithm.
        _own_answers(ask, image, masks)
            You compared each picture's own best answer. Follow one answer: the one given to the whole picture.
        -falls(ask, image, masks)
            The sign: a fall is the score before, less the score after.
        _falls(ask, image, _covered(image, ~masks, _mean_color(image)))
            You covered everything but the object. torch.where takes its first value where the mask is True.
        _falls(ask, image, _covered(image, masks, torch.zeros(3, 1, 1)))
            You covered with black, a color of its own. Take the picture's mean color.
        _falls(ask, image, _covered(image, masks, image.mean()))
            You covered with one gray for all three colors. The mean color has a mean for each channel.
        _falls(ask, image, _covered(image, masks.any(0)[None].expand_as(masks), _mean_color(image)))
            You covered all objects at once. Each has a picture of its own, in which it alone is covered.
    """,
)
def falls(ask, image, masks):
    color = image.mean((1, 2), keepdim=True)  # (3, 1, 1)
    covered = torch.where(masks[:, None], color, image)  # (Q, 3, H, W)
    logs = ask(torch.cat([image[None], covered])).log_softmax(1)  # (1 + Q, answers)
    answer = logs[0].argmax()
    return logs[0, answer] - logs[1:, answer]


class _Writer(nn.Module):
    """Stands in for a captioner before a picture: the words so far to log-probabilities of the next, (V,)."""

    def __init__(self, rng, words, late):
        super().__init__()
        self.start, self.after = (tensor_of(rng.normal(size=size) * 2) for size in ((words,), (words, words)))
        self.late = late  # the end is unlikely before as many words, and likely from then on
        self.end = words - 1

    def forward(self, words):
        logits = self.start.clone() if not words else self.after[words[-1]] + 0.1 * len(words) * self.start
        logits[self.end] = 9.0 if len(words) >= self.late else -9.0
        return logits.log_softmax(0)


def _writing_inputs(rng):
    cases = [(5, 3, 10), (6, 0, 4), (5, 9, 4), (7, 5, 6)]
    return [(_Writer(rng, words, late), words - 1, longest) for words, late, longest in cases]


def _write_by_recursion(next_word, end, longest):
    def go_on(words, total):
        row = next_word(words).tolist()
        best = row.index(max(row))
        words, total = [*words, best], total + row[best]
        return (words, total) if best == end or len(words) == longest else go_on(words, total)

    return list(go_on([], 0.0))


def _writing(next_word, end, longest, choose=lambda row: row.argmax(), after=list):
    words, total = [], 0.0
    while len(words) < longest and end not in words:
        row = next_word(after(words))
        words.append(int(choose(row)))
        total += float(row[words[-1]])
    return [words, total]


@exercise(
    "Write a caption word by word, the likeliest each time, until the end; with its log-probability.",
    inputs=_writing_inputs,
    reference=_write_by_recursion,
    hints="""
        Begin with words = [] and total = 0. In each turn: row = next_word(words), and the place of its largest value.
        Go on while the last word is not `end` and there are fewer than `longest`.
        int(row.argmax()) is the word, float(row[word]) its log-probability, given the words before.
    """,
    mistakes="""
        [write(next_word, end, longest)[0][:-1], write(next_word, end, longest)[1]]
            The last word is missing. The end is a word with a probability, too: it belongs to the list.
        _writing(next_word, -1, longest)
            You write on after the end. Stop as soon as the word `end` has been written.
        _writing(next_word, end, 50)
            You do not stop at `longest` words where the end does not come by itself.
        _writing(next_word, end, longest, after=lambda words: [])
            You ask for the first word each time. next_word takes all words that have been written so far.
        _writing(next_word, end, longest, after=lambda words: words[-1:])
            You hand over the last word only. next_word takes all words so far: the network has read the whole
            beginning.
        [write(next_word, end, longest)[0], math.exp(write(next_word, end, longest)[1])]
            You return the probability. Asked for is its logarithm: the sum of the words' log-probabilities.
        [write(next_word, end, longest)[0], write(next_word, end, longest)[1] / len(write(next_word, end, longest)[0])]
            You took the mean over the words. A caption's log-probability is their sum.
        write(next_word, end, longest)[::-1]
            The order: first the list of words, then the number.
    """,
)
def write(next_word, end, longest):
    words, total = [], 0.0
    while len(words) < longest and end not in words:
        row = next_word(words)  # log-probabilities of all words, (V,)
        words.append(int(row.argmax()))
        total += float(row[words[-1]])
    return [words, total]
