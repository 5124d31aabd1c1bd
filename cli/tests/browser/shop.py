"""Prints a small collection with columns, as JSON Lines: the same one in each run."""

import json

COLORS = ["red", "blue", "green", "white"]
THINGS = ["cup", "pot", "mat", "tray", "kettle"]

for number in range(60):
    thing = THINGS[number % len(THINGS)]
    colors = sorted({COLORS[number % 4], COLORS[number // 7 % 4]})
    document = {
        "_id": f"p{number}",
        "title": f"{colors[0].title()} tea {thing}",
        "text": f"A {' and '.join(colors)} {thing} for tea, number {number}. Volcanic clay, fired twice.",
        "color": colors,
        "price": 4.5 + number,
    }
    print(json.dumps(document))
