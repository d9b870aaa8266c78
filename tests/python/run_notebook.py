"""Executes a notebook as it is, without a screen, and keeps what came of it.

Arguments: the notebook, and a folder for the executed notebook and its charts. Prints one JSON object: the charts in
their order (cell, bytes, different colours) and the text of the cells tagged `kpis`. A cell that fails ends it.
"""

import base64
import json
import pathlib
import sys

import matplotlib.image
import nbformat
import nbclient

notebook = nbformat.read(sys.argv[1], as_version=4)
out = pathlib.Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
nbformat.write(notebook, out / "executed.ipynb")

charts, text = [], []
for cell in notebook.cells:
    tags = cell.metadata.get("tags", [])
    images = [output.data["image/png"] for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    assert len(images) == ("chart" in tags), f"{cell.id}: {len(images)} charts"
    for image in images:
        file = out / f"{cell.id}.png"
        file.write_bytes(base64.b64decode(image))
        pixels = matplotlib.image.imread(file)
        colours = len({tuple(pixel) for pixel in pixels.reshape(-1, pixels.shape[-1])[::7]})
        charts.append({"cell": cell.id, "bytes": file.stat().st_size, "colours": colours})
    if "kpis" in tags:
        for output in cell.outputs:
            text.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
print(json.dumps({"charts": charts, "text": "\n".join(text)}))
