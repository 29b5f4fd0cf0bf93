"""Lines of Python that say what to type, as options of the command line."""

import ast
import shlex

OPTIONS = {
    "labels": "--labels",
    "batch": "--groups",
    "groups": "--groups",
    "layer": "--layer",
    "values": "--values",
}
CALLS = ("genegraph.inspect", "model.fit", "GeneGCNClassifier")


def as_options(line: str) -> str:
    """Returns the options that do what a line does, or the line if there are none.

    Args:
        line: Python, as in the findings of :func:`genegraph.inspect`.

    Example:
        >>> as_options("model.fit(adata, 'cell type', layer='counts')")
        "--labels 'cell type' --layer counts"
        >>> as_options("genegraph.inspect(adata, graph)")
        '--graph FILE'
        >>> as_options("adata = adata.T.copy()")
        'adata = adata.T.copy()'
    """
    call = _call(line)
    if call is None:
        return line
    words = []
    name = ast.unparse(call.func)
    if name == "genegraph.inspect" and len(call.args) == 2:
        words.append("--graph FILE")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if name == "model.fit":
        given = {"labels": call.args[1], **given}
    for key, value in given.items():
        if key not in OPTIONS or not isinstance(value, ast.Constant):
            return line
        words.append(f"{OPTIONS[key]} {shlex.quote(str(value.value))}")
    return " ".join(words) or line


def _call(line: str) -> ast.Call | None:
    """Returns the one call that the line is, perhaps assigned to a name."""
    try:
        body = ast.parse(line).body
    except SyntaxError:
        return None
    if len(body) != 1 or not isinstance(body[0], ast.Expr | ast.Assign):
        return None
    call = body[0].value
    if isinstance(call, ast.Call) and ast.unparse(call.func) in CALLS:
        return call
    return None
