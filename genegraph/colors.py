"""Colours of cell types, for pictures here and in scanpy."""

import colorsys

CLASSES = ["#064f89", "#fd8358", "#0d8c87", "#811968", "#89be47", "#6a6bd6"]
CLASSES += ["#6c4301", "#1cbde3", "#c54864", "#025c3b", "#ca8cf5", "#8b7b01"]
"""Twelve hues far apart; lightness in OKLab 0.42, 0.74 and 0.58 in turn, to be told in grey too."""

GREY = "#c8c8d0"
"""Of cells of no type."""


def class_colors(num_classes: int) -> list[str]:
    """Returns a colour for each class; neighbours differ in lightness.

    Example:
        >>> class_colors(2), len(set(class_colors(50)))
        (['#064f89', '#fd8358'], 50)
    """
    if num_classes <= len(CLASSES):
        return CLASSES[:num_classes]
    shades = [
        colorsys.hls_to_rgb(k / num_classes, (0.3, 0.68, 0.48)[k % 3], 0.7)
        for k in range(num_classes)
    ]
    return ["#" + "".join(f"{round(255 * part):02x}" for part in shade) for shade in shades]
