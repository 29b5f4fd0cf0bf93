"""The page around the sections of a report."""

from __future__ import annotations

from collections.abc import Mapping

from genegraph.report.html import Html, html, joined

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; color: #22223a; background: #fff;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .75rem;
  border-top: 1px solid #d9d9e0; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
a { color: #293d6f; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 0; padding: 0;
  list-style: none; }
nav a { display: inline-block; padding: .25rem 0; }
.lead { font-size: 1.1rem; }
.note { border-left: 3px solid #fd8358; padding: .25rem .75rem; margin: 1rem 0; }
dl { margin: 1rem 0; }
dl div { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; gap: 0 1rem;
  padding: .2rem 0; border-bottom: 1px solid #eeeef2; }
dt { color: #55556b; }
dd { margin: 0; }
.wide { overflow-x: auto; margin: .4rem 0; }
.links { white-space: nowrap; }
table { border-collapse: collapse; font-size: .9rem; overflow-wrap: normal; }
th, td { padding: .25rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #eeeef2; }
th:first-child { padding-left: 0; max-width: 22rem; }
thead th { border-bottom: 2px solid #d9d9e0; white-space: nowrap; }
tbody th { font-weight: normal; overflow-wrap: break-word; min-width: 6rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1.25rem 0; }
img { max-width: 100%; height: auto; display: block; }
figcaption { color: #55556b; font-size: .9rem; margin-top: .4rem; }
pre { overflow-x: auto; background: #f6f6f8; padding: .75rem; font-size: .85rem; }
footer { margin: 2.5rem 0 1rem; color: #55556b; font-size: .9rem; }
@media (max-width: 36rem) { dl div { grid-template-columns: 1fr; } }
@media print {
  @page { margin: 1.5cm; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  h2, h3, figcaption { break-after: avoid; }
  tr, dl div, figcaption, figure:has(img) { break-inside: avoid; }
  img { width: calc(.72 * var(--natural)); max-height: 21cm; min-width: 0 !important;
    object-fit: contain; object-position: left; }
  .wide { overflow: visible; }
  pre { white-space: pre-wrap; }
}
"""

# No network, no script: the browser itself refuses what a name could not have smuggled in.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"


def page(title: str, lead: Html, sections: Mapping[str, tuple[str, Html]], foot: str) -> str:
    """Returns a whole HTML document.

    Args:
        title: Its title and first heading.
        lead: What stands before the sections.
        sections: Anchor -> heading, for the list of contents, and the section.
        foot: What stands at the end.
    """
    contents = "\n".join(
        f'<li><a href="#{html(name)}">{html(heading)}</a></li>'
        for name, (heading, _) in sections.items()
    )
    body = joined(part for _, part in sections.values())
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{html(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{html(title)}</h1>
{lead}
<nav aria-label="Contents"><ul>
{contents}
</ul></nav>
</header>
<main>
{body}
</main>
<footer>{html(foot)}</footer>
</body>
</html>
"""
