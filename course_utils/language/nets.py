"""Two small networks that put pictures into words: one answers questions, one writes captions.

Both begin with a convolutional trunk, whose last map A^k (64 channels of 8 x 8 cells, after a ReLU) is what
:func:`course_utils.explain.explain` can be pointed at. Words are numbers: 0 is nothing (padding), 1 the end of a
caption.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["END", "PAD", "Answerer", "Captioner", "Vocabulary", "caption_scores"]

PAD, END = 0, 1
CHANNELS, CELLS = 64, 8
MEAN, STD = 0.5, 0.25


class Vocabulary:
    """Words and their numbers, in alphabetical order behind padding (0) and end (1).

    Args:
        sentences: all that can be said; the longest decides to which length questions are padded.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        self.words = ["", "<end>", *sorted({word for sentence in sentences for word in sentence.split()})]
        self.longest = max(len(sentence.split()) for sentence in sentences)
        self._number = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, sentences: Sequence[str], end: bool = False) -> Tensor:
        """Return the words' numbers, (n, T) int64.

        Questions are padded on the left to one length, always the same, so that a question means the same in any
        company. Captions, with ``end``, are ended, then padded on the right to the longest among them.

        Raises:
            ValueError: a word that is not in the vocabulary.
        """
        rows = []
        for sentence in sentences:
            unknown = [word for word in sentence.split() if word not in self._number]
            if unknown:
                raise ValueError(f"the network does not know the word {unknown[0]!r}.")
            rows.append([self._number[word] for word in sentence.split()] + [END] * end)
        length = max(map(len, rows)) if end else self.longest
        padding = [[PAD] * (length - len(row)) for row in rows]
        return torch.tensor([row + pad if end else pad + row for row, pad in zip(rows, padding, strict=True)])

    def decode(self, numbers: Tensor) -> str:
        """Return the sentence, up to its end."""
        words = []
        for number in numbers.tolist():
            if number == END:
                break
            words += [self.words[number]] if number != PAD else []
        return " ".join(words)


def _places(maps: Tensor) -> Tensor:
    """Each cell's place: (N, 2, h, w), from -1 to 1."""
    n, _, h, w = maps.shape
    y, x = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    return torch.stack([x, y]).to(maps)[None].expand(n, -1, -1, -1)


class FiLM(nn.Module):
    """A convolution whose channels a question scales and shifts (feature-wise linear modulation, arXiv 1709.07871).

    z = relu(W [x, places]),    out = z + relu(gamma(q) * norm(V z) + beta(q))
    """

    def __init__(self, channels: int, question: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels + 2, channels, 1)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.modulate = nn.Linear(question, 2 * channels)

    def forward(self, maps: Tensor, question: Tensor) -> Tensor:
        """(n, C, h, w) and (N, Q) to (N, C, h, w), not negative; the first N / n questions are about the first map."""
        entered = F.relu(self.enter(torch.cat([maps, _places(maps)], 1)))
        seen = self.norm(self.conv(entered))  # up to here no question is needed: once for each map
        entered, seen = (part.repeat_interleave(len(question) // len(maps), 0) for part in (entered, seen))
        gamma, beta = self.modulate(question)[..., None, None].chunk(2, 1)
        return entered + F.relu((1 + gamma) * seen + beta)


class Answerer(nn.Module):
    """Answers a question about a picture.

    The trunk makes A^k of the picture alone (``features``); two FiLM blocks let the question act on it, the second
    (``conditioned``) puts out the last map; its mean and its maximum over the cells go to a small head.

    Args:
        features: trunk that maps (N, 3, 64, 64) to (N, 64, 8, 8), not negative. It is copied.
        vocabulary: of the questions.
        answers: names of the answers, one a logit.
    """

    def __init__(self, features: nn.Module, vocabulary: Vocabulary, answers: Sequence[str]) -> None:
        super().__init__()
        self.vocabulary, self.answers = vocabulary, list(answers)
        self.features = copy.deepcopy(features)
        self.embed = nn.Embedding(len(vocabulary), 32, padding_idx=PAD)
        self.read = nn.GRU(32, 64, batch_first=True)
        self.first, self.conditioned = FiLM(CHANNELS, 64), FiLM(CHANNELS, 64)
        self.head = nn.Sequential(nn.Linear(2 * CHANNELS, 128), nn.ReLU(), nn.Linear(128, len(answers)))

    def forward(self, images: Tensor, questions: Tensor) -> Tensor:
        """Return logits (N, answers) of images (n, 3, 64, 64) in [0, 1] and questions (N, T).

        N is a multiple of n: the first N / n questions are about the first image, and so on.
        """
        maps = self.features((images - MEAN) / STD)
        state = self.read(self.embed(questions))[1][0]
        maps = self.conditioned(self.first(maps, state), state)
        return self.head(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))

    def ask(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """Return the logits (N, answers) of questions as text, one about each image."""
        return self(images, self.vocabulary.encode(texts))


class Captioner(nn.Module):
    """Writes captions: a recurrent network that looks at the picture anew before each word (arXiv 1502.03044).

    At each step the state asks, each cell of the last map answers, and a softmax over the cells weighs what is read:

        a_ij = softmax_ij(q(h) . key_ij),   c = sum_ij a_ij value_ij,   h' = GRU([word before, c], h),
        log p(word | words before, picture) = log softmax(W [h', c])

    Args:
        features: trunk that maps (N, 3, 64, 64) to (N, 64, 8, 8), not negative. It is copied.
        vocabulary: of the captions.
    """

    STATE = 128

    def __init__(self, features: nn.Module, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.features = copy.deepcopy(features)
        self.cells = nn.Conv2d(CHANNELS + 2, 2 * CHANNELS, 1)
        self.embed = nn.Embedding(len(vocabulary), 32, padding_idx=PAD)
        self.start = nn.Linear(CHANNELS * CELLS**2, self.STATE)
        self.query = nn.Linear(self.STATE, CHANNELS)
        self.step = nn.GRUCell(32 + CHANNELS, self.STATE)
        self.words = nn.Linear(self.STATE + CHANNELS, len(vocabulary))

    def forward(self, images: Tensor, captions: Tensor) -> Tensor:
        """Return log-probabilities (N, T, words) of each next word, given the picture and the words before it.

        Args:
            images: (N, 3, 64, 64) in [0, 1].
            captions: (N, T), from ``vocabulary.encode(..., end=True)``.
        """
        keys, values, state = self._look(images)
        before = torch.full_like(captions[:, 0], END)
        outputs = []
        for t in range(captions.shape[1]):
            logits, state = self._next(before, state, keys, values)
            outputs.append(logits.log_softmax(1))
            before = captions[:, t]
        return torch.stack(outputs, 1)

    @torch.no_grad()
    def write(self, images: Tensor, longest: int = 24) -> list[str]:
        """Return a caption for each image: at each step the likeliest word."""
        keys, values, state = self._look(images)
        word = torch.full((len(images),), END)
        written = []
        for _ in range(longest):
            logits, state = self._next(word, state, keys, values)
            word = logits.argmax(1)
            written.append(word)
        return [self.vocabulary.decode(row) for row in torch.stack(written, 1)]

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.features((images - MEAN) / STD)
        keys, values = self.cells(torch.cat([maps, _places(maps)], 1)).flatten(2).chunk(2, 1)
        return keys, values, torch.tanh(self.start(maps.flatten(1)))

    def _next(self, word: Tensor, state: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        asked = torch.einsum("nc,ncp->np", self.query(state), keys) / CHANNELS**0.5
        read = torch.einsum("np,ncp->nc", asked.softmax(1), values)
        state = self.step(torch.cat([self.embed(word), read], 1), state)
        return self.words(torch.cat([state, read], 1)), state


def caption_scores(net: Captioner, images: Tensor, captions: Tensor) -> Tensor:
    """Return the log-probability (N, T) of each given word, its end included, given the words before it; 0 behind it.

    Its sum over T is the log-probability of the caption, the score of the Grad-CAM paper.

    Args:
        net: writes captions.
        images: (N, 3, 64, 64) in [0, 1].
        captions: (N, T), from ``vocabulary.encode(..., end=True)``.
    """
    logs = net(images, captions).gather(2, captions[..., None])[..., 0]
    return logs * (captions != PAD)
