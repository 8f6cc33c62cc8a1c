"""The process in which stylesheets run: reads jobs from file descriptor 0, writes results to 1.

Run by path (its host imports the frame formats only): it imports lxml and nothing of this library, holds no key, no
environment and no open file but its own size in /proc, and limits itself before it reads the first job. It
trusts no stylesheet; its host kills it when a job takes too long, and starts another.

    python -I -S -E worker.py DIRECTORY_OF_LXML MEMORY OUTPUT

MEMORY is what may be mapped beyond what the start took, OUTPUT the largest result, both in octets.
A job is `JOB` (lengths of stylesheet and document, the passes, the contributors), then both of them; a
result is `RESULT` (status, length), then the element or the reason.
"""

import os
import resource
import struct
import sys
from types import ModuleType

JOB = struct.Struct("!IIBQ")
RESULT = struct.Struct("!BI")

ONE_PASS, PARTIAL_PASS, FINAL_PASS = range(3)
"""One without a phase; one with phase 'partial'; that and then one with phase 'final' over its result."""
OK, WRONG, READY = range(3)
LEAVING = 0x80
"""Added to a status: this process has grown and ends after this result."""

_NAMESPACE = "urn:gossip-ws:2026"
_REPLIES = f"{{{_NAMESPACE}}}Replies"
_REPLY = f"{{{_NAMESPACE}}}Reply"
_GROWTH = 12 * 1024 * 1024
_CPU_SECONDS = 3
_COMPILED = 16


class WrongFilterError(Exception):
    """What this filter does with this document is no result."""


class NotNeeded(ModuleType):
    """Stands for the module that lxml imports for parser targets, of which there are none here: with the parser and
    the disassembler behind it 1.2 MiB, a fourteenth of this process."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def read(size: int) -> bytes:
    """Exactly `size` octets; the host has gone when there are none."""
    parts = []
    while size:
        part = os.read(0, size)
        if not part:
            # No clean-up: nothing is held.
            os._exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write(status: int, payload: bytes) -> None:
    frame = RESULT.pack(status, len(payload)) + payload
    while frame:
        frame = frame[os.write(1, frame) :]


def confine(statm: int, memory: int) -> None:
    """No more memory than given, no new file, no growing file, no child, no core dump."""
    limit(resource.RLIMIT_AS, pages(statm)[0] * resource.getpagesize() + memory)
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
        limit(kind, 0)


def limit(kind: int, value: int, keep: bool = False) -> None:
    """Never above what this process was given. For good, unless `keep` leaves the hard limit where it is."""
    given = resource.getrlimit(kind)[1]
    soft = value if given == resource.RLIM_INFINITY else min(value, given)
    resource.setrlimit(kind, (soft, given if keep else soft))


def allow_cpu() -> None:
    """A few seconds more than used so far: should the host die, a hanging job ends by itself."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + _CPU_SECONDS, keep=True)


def pages(statm: int) -> tuple[int, int]:
    """Mapped and resident now. Not ru_maxrss: that begins with what the host had when it forked."""
    mapped, resident = os.pread(statm, 128, 0).split()[:2]
    return int(mapped), int(resident)


def main() -> None:
    lxml_home, memory, output = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sys.path.append(lxml_home)
    sys.modules["inspect"] = NotNeeded("inspect")
    from lxml import etree

    class Refuse(etree.Resolver):
        # xsl:include is read past the access control.
        def resolve(self, system_url: object, public_id: object, context: object) -> object:  # type: ignore[override]
            raise WrongFilterError("a filter reads nothing")

    def parser() -> etree.XMLParser:
        made = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        made.resolvers.add(Refuse())
        return made

    documents = parser()
    compiled: dict[bytes, etree.XSLT] = {}

    def transform_of(stylesheet: bytes) -> etree.XSLT:
        found = compiled.pop(stylesheet, None)
        if found is None:
            found = etree.XSLT(
                etree.fromstring(stylesheet, parser()),
                regexp=False,
                access_control=etree.XSLTAccessControl.DENY_ALL,  # type: ignore[attr-defined]  # in lxml, not in its stubs
            )
        # The oldest used is forgotten.
        compiled[stylesheet] = found
        if len(compiled) > _COMPILED:
            del compiled[next(iter(compiled))]
        return found

    def apply(transform: etree.XSLT, document: etree._Element, phase: str) -> etree._Element:
        result = transform(document, phase=f"'{phase}'") if phase else transform(document)
        root = result.getroot()
        if root is None:
            raise WrongFilterError("the filter makes no element")
        if any(isinstance(other.tag, str) for before in (True, False) for other in root.itersiblings(preceding=before)):
            raise WrongFilterError("the filter makes more than one element")
        return root

    def run(stylesheet: bytes, document: bytes, passes: int, contributors: int) -> bytes:
        transform = transform_of(stylesheet)
        root = apply(transform, etree.fromstring(document, documents), "" if passes == ONE_PASS else "partial")
        if passes == FINAL_PASS:
            replies = etree.Element(_REPLIES, nsmap={"g": _NAMESPACE})
            etree.SubElement(replies, _REPLY, contributors=str(contributors)).append(root)
            root = apply(transform, replies, "final")
        made = etree.tostring(root, method="c14n", exclusive=True, with_comments=False, with_tail=False)
        if len(made) > output:
            raise WrongFilterError(f"the filter makes {len(made)} octets, at most {output} are taken")
        return made

    # What the first transformation and its errors load cannot be loaded once no file opens.
    head = b"<s:stylesheet version='1.0' xmlns:s='http://www.w3.org/1999/XSL/Transform'><s:template match='/'>"
    for content in (b"<a/>", b"<s:value-of select='nothing()'/>", b"<s:include href='file:/'/>"):
        try:
            run(head + content + b"</s:template></s:stylesheet>", b"<a/>", ONE_PASS, 1)
        except (etree.LxmlError, WrongFilterError) as error:
            str(error)
    compiled.clear()
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    confine(statm, memory)
    largest = pages(statm)[1] + _GROWTH // resource.getpagesize()
    write(READY, b"")
    while True:
        stylesheet_size, document_size, passes, contributors = JOB.unpack(read(JOB.size))
        stylesheet, document = read(stylesheet_size), read(document_size)
        allow_cpu()
        try:
            status, payload = OK, run(stylesheet, document, passes, contributors)
        except (etree.LxmlError, WrongFilterError, ValueError, MemoryError) as error:
            status, payload = WRONG, (str(error) or type(error).__name__).encode()[:300]
        leaving = pages(statm)[1] > largest
        write(status | LEAVING if leaving else status, payload)
        if leaving:
            os._exit(0)


if __name__ == "__main__":
    main()
