"""Pictures with known truth, for all notebooks: photographs with boxes and masks, mosaics, composites, drawn scenes.

``photos`` reads the photographs that ``data/photos.json`` lists, out of installed packages; ``pasting`` puts objects on
grounds, ``drawn_scenes`` draws ``drawn_shapes`` from a seed, ``files`` reads pictures that people bring along
(``dicom`` and ``grays`` those of more than 8 bits), and ``finding`` finds them in folders.
Importing this room loads no PyTorch: the command line answers a wrong argument before that.
"""

from .drawn_scenes import SceneObject, Scenes, scenes
from .drawn_shapes import COLORS, SHAPES
from .errors import PictureError
from .files import Picture, as_rgb, read_grays, read_picture, readable
from .finding import find_pictures, pictures_in
from .pasting import Composite, PastedObject, composites
from .photos import (
    Box,
    Mosaic,
    Photo,
    balanced_mosaics,
    box_around,
    credited,
    list_photos,
    list_textures,
    load_photo,
    mosaic,
    pixels,
    shown_photos,
    texture_part,
)

__all__ = [
    "COLORS",
    "SHAPES",
    "Box",
    "Composite",
    "Mosaic",
    "PastedObject",
    "Photo",
    "Picture",
    "PictureError",
    "SceneObject",
    "Scenes",
    "as_rgb",
    "balanced_mosaics",
    "box_around",
    "composites",
    "credited",
    "find_pictures",
    "list_photos",
    "list_textures",
    "load_photo",
    "mosaic",
    "pictures_in",
    "pixels",
    "read_grays",
    "read_picture",
    "readable",
    "scenes",
    "shown_photos",
    "texture_part",
]
