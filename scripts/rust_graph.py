"""Which Rust file names which, and in what circles: check-imports asks.

A path is followed through re-exports to the file that has the item, so a `mod.rs` that only lists its
room stands between no two files. Text only, no parser: paths that begin with `crate`, `super`, `self`, a
module declared in the same file, or a module it has imported. Macros by bare name are not seen.
"""

import re

from rust_source import ROOT, code, files

USE = re.compile(r"(?<!\w)(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")
PATH = re.compile(r"(?<![\w:])(\w+(?:\s*::\s*\w+)+)")
TEST_FILE = re.compile(r"#\[cfg\((?:test\b|all\(any\(test|any\(test)[^\n]*\s*(?:#\[(?:[^\]]*)\]\s*)*"
                       r"(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;")
ITEM = r"\b(?:fn|struct|enum|union|trait|type|const|static|mod|macro_rules!)\s+%s\b"


def leaves(tree):
    """(segments, local name) of every path in a `use` tree; the name is `*` for a glob."""
    head, brace, rest = tree.partition("{")
    if not brace:
        path, _, alias = tree.partition(" as ")
        segments = [s.strip() for s in path.split("::")]
        if segments[-1] == "self":
            segments.pop()
        return [(segments, alias.strip() or segments[-1])]
    found, depth, part = [], 0, ""
    for char in rest[: rest.rindex("}")] + ",":
        if char == "," and depth == 0:
            if part.strip():
                found += leaves(head + part.strip())
            part = ""
        else:
            depth += {"{": 1, "}": -1}.get(char, 0)
            part += char
    return found


class Crate:
    """The modules under a folder by path, and what each file names."""

    def __init__(self, folder):
        self.modules, self.text, self.uses = {}, {}, {}
        for path in files(folder):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            self.modules[parts[:-1] if parts[-1] in ("mod", "lib", "main") else parts] = path
        self.text = {module: code(path) for module, path in self.modules.items()}
        self._leave_tests_out()
        for module, text in self.text.items():
            found = USE.findall(re.sub(r"[^\S ]+", " ", text))
            self.uses[module] = [(bool(public), *leaf) for public, tree in found for leaf in leaves(tree)]

    def _leave_tests_out(self):
        heads = {(*module, name) for module, text in self.text.items() for name in TEST_FILE.findall(text)}
        for module in list(self.modules):
            is_test = any(module[: len(head)] == head for head in heads)
            if is_test or (module and module[-1].endswith("_tests")):
                del self.modules[module], self.text[module]

    def _resolve(self, module, segments, asked=()):
        """The modules that have the item of a path that stands in `module`; none for other crates'."""
        segments = list(segments)
        if segments[0] == "crate":
            at = ()
        elif segments[0] in ("self", "super"):
            at = module
        elif (*module, segments[0]) in self.modules:
            at = module
        else:
            return set()
        while segments and segments[0] in ("crate", "self", "super"):
            at = at[:-1] if segments.pop(0) == "super" else at
        return self._find(at, segments, asked)

    def _find(self, at, segments, asked):
        while segments and (*at, segments[0]) in self.modules:
            at, segments = (*at, segments[0]), segments[1:]
        if at not in self.modules:
            return set()
        if not segments or (at, segments[0]) in asked or re.search(ITEM % segments[0], self.text[at]):
            return {at}
        asked = (*asked, (at, segments[0]))
        for _, path, name in self.uses[at]:
            if name == segments[0]:
                return self._resolve(at, [*path, *segments[1:]], asked) or {at}
        found = set()
        for _, path, name in self.uses[at]:
            if name == "*":
                for module in self._resolve(at, path[:-1], asked):
                    found |= self._find(module, segments, asked)
        return found or {at}

    def names(self, module):
        """The modules whose items a module names, itself not among them."""
        imported = {name: path for _, path, name in self.uses[module]}
        paths = [path for public, path, _ in self.uses[module] if not public]
        for match in PATH.findall(USE.sub("", self.text[module])):
            path = re.split(r"\s*::\s*", match)
            paths.append([*imported.get(path[0], path[:1]), *path[1:]])
        named = set()
        for path in paths:
            named |= self._resolve(module, path[:-1] if path[-1] == "*" else path)
        return named - {module}

    def graph(self):
        """{file: files it names}, by path from the project's root. The crate's root names all, and counts not."""
        show = {module: path.relative_to(ROOT).as_posix() for module, path in self.modules.items()}
        return {show[m]: {show[n] for n in self.names(m) if n} for m in self.modules if m}


def circles(graph):
    """Sets of files that name each other in a circle, the largest first."""
    reach = {}
    for start in graph:
        seen, todo = set(), [start]
        while todo:
            new = graph[todo.pop()] - seen
            seen |= new
            todo += new
        reach[start] = seen
    found = {frozenset(g for g in reach[f] if f in reach[g]) for f in graph if f in reach[f]}
    return sorted(found, key=lambda circle: (-len(circle), sorted(circle)))


def ring(graph, circle):
    """A shortest way round in a circle, as files, the first again at its end."""
    ways = []
    for start in sorted(circle):
        way_to, todo = {}, [start]
        while todo and start not in way_to:
            at = todo.pop(0)
            for name in sorted(graph[at] & circle - way_to.keys()):
                way_to[name] = at
                todo.append(name)
        way = [start, way_to[start]]
        while way[-1] != start:
            way.append(way_to[way[-1]])
        ways.append(way[::-1])
    return min(ways, key=len)


def floors(graph, room):
    """The files of a room without circles, floor by floor, the top first: each names those below it only."""
    level = {}

    def floor(file):
        if file not in level:
            level[file] = 1 + max((floor(name) for name in graph[file] & room), default=0)
        return level[file]

    top = max(map(floor, room), default=0)
    return [sorted(file for file in room if level[file] == at) for at in range(top, 0, -1)]
