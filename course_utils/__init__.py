"""Helper package of the course "Why did this CNN predict that?".

The modules stand on floors; each imports only from lower ones:

1. ``shapes``, ``hooks``, ``assets``
2. ``models``, ``photos``, ``ilsvrc``
3. ``cam``, ``perturbation``
4. ``backprop``
5. ``plots``, ``localization``, then ``playground``, then ``widgets`` and ``exercises``

Importing ``course_utils`` alone loads no PyTorch, so that a set-up cell answers at once.
"""

__version__ = "0.1.0"
