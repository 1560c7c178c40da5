"""On the path of a pipeline's processes: notes which parameters the notebook of each stage reads.

One line a parameter, in $READS_FOLDER/<stage>.<process>; a section that is pickled, dumped or copied is read whole.
"""

import importlib.util
import os
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

WHOLE = ("__reduce_ex__", "model_dump", "model_dump_json", "model_copy")


class Recorder(MetaPathFinder):
    """Loads more_repro.params, and lets its sections note what is asked of those that load_params returned."""

    def find_spec(self, name, path, target=None):
        if name != "more_repro.params":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (load(module), watch(module))
        return spec


def as_written(section, name):
    """The key of a field in params.yaml."""
    field = section.model_fields.get(name)
    return field.alias if field is not None and field.alias else name


def watch(params):
    from more_repro.params.sections import Section

    file = Path(os.environ["READS_FOLDER"]) / f"{os.environ['RECORDED_STAGE']}.{os.getpid()}"
    place: dict[int, str] = {}
    seen: set[str] = set()
    kept = []
    get, load = Section.__getattribute__, params.load_params

    def note(self, name):
        value = get(self, name)
        known = place.get(id(self))
        if known is not None and (name in WHOLE or name in type(self).model_fields):
            read = known if name in WHOLE else f"{known}.{as_written(type(self), name)}".lstrip(".")
            if not isinstance(value, Section) and read not in seen:
                seen.add(read)
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(f"{read}\n")
        return value

    def mark(value, where):
        if isinstance(value, Section):
            place[id(value)] = where
            for name in type(value).model_fields:
                mark(get(value, name), f"{where}.{as_written(type(value), name)}".lstrip("."))
        elif isinstance(value, dict):
            for name, item in value.items():
                mark(item, f"{where}.{name}")

    def load_and_mark(*words, **named):
        loaded = load(*words, **named)
        kept.append(loaded)  # so that no other object takes its id
        mark(loaded, "")
        return loaded

    Section.__getattribute__ = note
    params.load_params = load_and_mark


words = sys.orig_argv
if "--stage" in words:
    os.environ["RECORDED_STAGE"] = words[words.index("--stage") + 1]  # the kernel inherits it
elif "more_repro.nb.runner.kernel_main" in words:
    sys.meta_path.insert(0, Recorder())
