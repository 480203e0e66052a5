"""Node-RED: what nodes do is decided before they do it. The plugin is JavaScript, in this folder.

    npm install "$(python -c 'from bridle.adapters import node_red; print(node_red.FOLDER)')"

It asks `bridle http serve`: docs/engines.md says how it is set up.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
"""The plugin as an npm package, to be installed into Node-RED's user directory."""
