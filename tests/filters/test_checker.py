"""What is a filter, and what is refused, where and why."""

from importlib.resources import files

import pytest

from gossip_ws.filters.checker import Forms, check_stylesheet
from gossip_ws.filters.xpath import examine, templates
from gossip_ws.kernel.errors import FaultCode, RemoteError

HEAD = (
    '<xsl:stylesheet version="1.0" g:forms="same" xmlns:g="urn:gossip-ws:2026" '
    'xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:math="http://exslt.org/math">\n'
)


def sheet(body: str, top: str = "") -> str:
    return f'{HEAD}{top}<xsl:template match="/"><a>\n{body}</a></xsl:template></xsl:stylesheet>'


ALLOWED = {
    "sum and count": '<xsl:value-of select="sum(//v) div count(//v)"/>',
    "two loops": '<xsl:for-each select="*/*"><xsl:for-each select="*"><xsl:value-of select="."/></xsl:for-each>'
    "</xsl:for-each>",
    "sort": '<xsl:for-each select="//v"><xsl:sort select="." data-type="number" order="descending"/>'
    '<xsl:if test="position() = 1"><xsl:copy-of select="."/></xsl:if></xsl:for-each>',
    "max by comparison": '<xsl:value-of select="//v[not(. &lt; /g:Replies/g:Reply/v)][1]"/>',
    "choose": '<xsl:choose><xsl:when test="count(*) &gt; 3 and not(*[2] = 5)"><b/></xsl:when>'
    "<xsl:otherwise>c</xsl:otherwise></xsl:choose>",
    "variables": '<xsl:variable name="x" select="sum(*/*/v)"/><xsl:variable name="y" select="$x * 2"/>'
    '<b at="{$y mod 7}"><xsl:value-of select="format-number($x, \'0.00\')"/></b>',
    "groups": '<xsl:for-each select="//r[not(k = preceding-sibling::r/k)]"><xsl:variable name="k" select="k"/>'
    '<b><xsl:value-of select="sum(//r[k = $k]/v)"/></b></xsl:for-each>',
    "operators called as elements": '<xsl:value-of select="div div mod * (and or or)"/>',
    "axes": '<xsl:value-of select="child::a/parent::*/attribute::b | descendant::c/self::node()/text()"/>',
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_reasonable_filters_are_taken(body: str) -> None:
    assert check_stylesheet(sheet(body)).forms is Forms.SAME


@pytest.mark.parametrize("name", ["demand-sum", "voltage-max", "phase-difference"])
def test_the_examples_that_ship_are_filters(name: str) -> None:
    check_stylesheet((files("gossip_ws.wsdl") / f"{name}.xslt").read_text(encoding="utf-8"))


def loops(depth: int, inner: str = "<b/>") -> str:
    return '<xsl:for-each select="//*">' * depth + inner + "</xsl:for-each>" * depth


def doubling(count: int) -> str:
    lines = '<xsl:variable name="v0" select="string(/)"/>'
    for number in range(count):
        lines += f'<xsl:variable name="v{number + 1}" select="concat($v{number}, $v{number})"/>'
    return lines + f'<xsl:value-of select="$v{count}"/>'


NESTED_VARIABLES = "".join(
    f'<xsl:variable name="v{number + 1}"><xsl:for-each select="//*"><xsl:copy-of select="$v{number}"/></xsl:for-each>'
    "</xsl:variable>"
    for number in range(5)
)

REFUSED = {
    "document": ("<xsl:value-of select=\"document('/etc/passwd')\"/>", "document()"),
    "document with a space": ("<xsl:value-of select=\"document ('/etc/passwd')\"/>", "document()"),
    "document in a template": ("<b c=\"{document('/etc/passwd')}\"/>", "document()"),
    "document after and": ("<xsl:if test=\"and and document('x')\"/>", "document()"),
    "key": ("<xsl:value-of select=\"key('a', 'b')\"/>", "key()"),
    "generate-id": ('<xsl:value-of select="generate-id()"/>', "generate-id()"),
    "unparsed-entity-uri": ("<xsl:value-of select=\"unparsed-entity-uri('a')\"/>", "unparsed-entity-uri()"),
    "system-property": ("<xsl:value-of select=\"system-property('xsl:vendor')\"/>", "system-property()"),
    "EXSLT": ('<xsl:value-of select="math:random()"/>', "extension"),
    "include here": ('<xsl:include href="/etc/passwd"/>', "xsl:include"),
    "message": ("<xsl:message>x</xsl:message>", "xsl:message"),
    "call": ('<xsl:call-template name="a"/>', "xsl:call-template"),
    "apply": ("<xsl:apply-templates/>", "xsl:apply-templates"),
    "three loops": (loops(3), "nested more than 2"),
    "a predicate in two loops": (loops(2, '<xsl:value-of select="*[. = 1]"/>'), "inside two loops"),
    "predicate in predicate": ('<xsl:value-of select="//*[count(//*[. = 1]) = 1]"/>', "predicate"),
    "descendants in predicate": ('<xsl:value-of select="//*[count(//*) = 1]"/>', "descendants"),
    "descendant axis in predicate": ('<xsl:value-of select="*[count(descendant::*) = 1]"/>', "descendants"),
    "following": ('<xsl:value-of select="following::*"/>', "axis following"),
    "namespace axis": ('<xsl:value-of select="namespace::*"/>', "axis namespace"),
    "string doubling": (doubling(40), "grows"),
    "copies in copies": ('<xsl:variable name="v0" select="/"/>' + NESTED_VARIABLES, "grows"),
    "unknown variable": ('<xsl:value-of select="$nothing"/>', "not set before"),
    "disable-output-escaping": ('<xsl:value-of select="." disable-output-escaping="yes"/>', "disable-output-escaping"),
    "attribute sets": ('<b xsl:use-attribute-sets="x"/>', "use-attribute-sets"),
    "locale": ('<xsl:for-each select="*"><xsl:sort select="." lang="sv"/></xsl:for-each>', "lang"),
    "bad XPath": ('<xsl:value-of select="((("/>', "never closed"),
    "XPath only libxslt finds": ('<xsl:value-of select="1 + + + /"/>', "XSLT"),
    "empty XPath": ('<xsl:value-of select=" "/>', "empty"),
    "long XPath": (f'<xsl:value-of select="{"1 + " * 400}1"/>', "characters"),
    "deep XPath": (f'<xsl:value-of select="{"(" * 40}1{")" * 40}"/>', "nested"),
    "deep elements": ("<b>" * 40 + "</b>" * 40, "deep"),
    "processing instruction": ("<?php x?>", "processing instruction"),
    "extension element": ("<xsl:element name='b'/>", "xsl:element"),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_in_the_subset_is_refused_with_its_line(body: str, reason: str) -> None:
    with pytest.raises(RemoteError) as caught:
        check_stylesheet(sheet(body))
    fault = caught.value.fault
    assert fault.code is FaultCode.SENDER
    assert fault.subcode == "{urn:gossip-ws:2026}FilterNotAllowed"
    assert reason in fault.reason
    assert fault.reason.startswith("line ")


def test_the_line_is_that_of_the_element() -> None:
    with pytest.raises(RemoteError, match=r"line 5: .*document"):
        check_stylesheet(sheet("\n<b/>\n<xsl:value-of select=\"document('x')\"/>"))


STYLESHEETS = {
    "no XML": "sum everything, please",
    "nothing": "",
    "no stylesheet": "<a/>",
    "a document type": '<!DOCTYPE a [<!ENTITY e "x">]>' + sheet("&e;"),
    "another encoding": '<?xml version="1.0" encoding="ISO-8859-1"?>' + sheet(""),
    "a wrong encoding": '<?xml version="1.0" encoding="nonsense"?>' + sheet(""),
    "lone surrogate": sheet("\ud800"),
    "XSLT 2.0": sheet("").replace('version="1.0"', 'version="2.0"'),
    "no forms": sheet("").replace('g:forms="same"', ""),
    "other forms": sheet("").replace('g:forms="same"', 'g:forms="any"'),
    "forms without phase": sheet("").replace('g:forms="same"', 'g:forms="partial final"'),
    "phase without forms": sheet("", '<xsl:param name="phase"/>'),
    "another param": sheet("", '<xsl:param name="other"/>'),
    "extension prefixes": sheet("").replace("g:forms", 'extension-element-prefixes="math" g:forms'),
    "import": sheet("", '<xsl:import href="/etc/passwd"/>'),
    "include": sheet("", '<xsl:include href="http://127.0.0.1/x"/>'),
    "keys": sheet("", '<xsl:key name="a" match="*" use="."/>'),
    "two templates": sheet("", '<xsl:template match="/*"/>'),
    "no template": HEAD + "</xsl:stylesheet>",
    "named template": sheet("").replace('match="/"', 'name="a"'),
    "costly match": sheet("").replace('match="/"', 'match="*[count(//*) = 1]"'),
    "text output": sheet("", '<xsl:output method="text"/>'),
    "doctype output": sheet("", '<xsl:output doctype-system="x"/>'),
    "literal as a stylesheet": '<a xsl:version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"/>',
}


@pytest.mark.parametrize("text", STYLESHEETS.values(), ids=STYLESHEETS)
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(RemoteError) as caught:
        check_stylesheet(text)
    assert caught.value.fault.subcode == "{urn:gossip-ws:2026}FilterNotAllowed"


def test_a_large_filter_is_not_even_parsed() -> None:
    with pytest.raises(RemoteError) as caught:
        check_stylesheet("<" * 8_193)
    assert caught.value.fault.subcode == "{urn:gossip-ws:2026}FilterTooLarge"


@pytest.mark.parametrize("value", ["{", "}", "a{b", "{a{b}", "{{a}}", "a}b{c}", "{a}}"])
def test_what_is_no_attribute_value_template(value: str) -> None:
    with pytest.raises(ValueError, match=r"template|twice"):
        templates(value)


def test_variables_are_counted_as_often_as_they_are_used() -> None:
    assert examine("concat($a, '$b', $a, $c-d)").variables == ("a", "a", "c-d")
    assert not examine("a[1][last()][position() = 2]").loops
    assert examine("a[b]").loops
