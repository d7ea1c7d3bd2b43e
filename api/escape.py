"""The one way by which text reaches folium and HTML.

Text is escaped for three readers at once, because folium hands it to all three:

* the browser: popups, tooltips and layer names are HTML, so an attribute value could be an element;
* JavaScript: some folium templates put text inside a template literal, where `${...}` runs even when the
  HTML is escaped, and a CSP nonce does not stop it (the literal stands in our own script);
* Jinja on this server: branca renders every macro twice, so the first result, with all attribute values in
  it, is read as a template again, and `{{ ... }}` in a parcel's name would be evaluated here.
"""

from __future__ import annotations

import html

_ALSO = str.maketrans({char: f"&#{ord(char)};" for char in "`${}\\"})


def safe(value: object) -> str:
    """The text of a value, harmless in HTML, in quoted attributes, in template literals and in Jinja.

    Parameters
    ----------
    value : anything with a text; None gives ""

    Examples
    --------
    >>> safe("木黄 <b>${alert(1)}</b>")
    '木黄 &lt;b&gt;&#36;&#123;alert(1)&#125;&lt;/b&gt;'
    >>> safe(None)
    ''
    """
    return "" if value is None else html.escape(str(value), quote=True).translate(_ALSO)
