"""Files as a person names them in the folder where the command ran."""

from __future__ import annotations

import pyarrow as pa

from elixirscope.recording.changes import Changes, Patch


def relative_files(table: pa.Table, root: str) -> pa.Table:
    """`table` with the files below the folder `root`, where the command ran, named as a person there names them."""
    if "file" not in table.column_names or not root:
        return table
    prefix = root.rstrip("/") + "/"
    files = table.column("file").combine_chunks()
    texts = [text and text.removeprefix(prefix) for text in files.dictionary.to_pylist()]
    shortened = pa.DictionaryArray.from_arrays(files.indices, pa.array(texts, pa.string()))
    place = table.column_names.index("file")
    return table.set_column(place, table.schema.field(place), shortened)


def relative_changes(changes: Changes, root: str) -> Changes:
    """As `relative_files`, of all rows and patches."""
    rows = {name: relative_files(table, root) for name, table in changes.rows.items()}
    patches = list[Patch]()
    for patch in changes.patches:
        (columns,) = relative_files(pa.table(patch.columns), root).combine_chunks().to_batches()
        patches.append(patch._replace(columns=dict(zip(columns.schema.names, columns.columns, strict=True))))
    return Changes(rows, patches)
