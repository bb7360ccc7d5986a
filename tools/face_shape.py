#!/usr/bin/env python3
"""Mean 3-D shape of the five landmarks, from what the detector finds: the model behind the head pose of src/quality/pose.c.

usage: mien detect FOLDER --format csv | face_shape.py [WIDTH HEIGHT]

Of a WIDTH x HEIGHT picture (250 x 250) the face nearest its centre is taken. Along the line from the middle of the eyes to
the middle of the mouth, which turning the head to a side leaves as long as it is, everything is measured in units of
that line: n, how far the nose tip lies beside it, and r, the distance of the eyes. Under scaled orthography a turn by y gives
n = D sin y and r = R cos y, so r^2 = R^2 - (R/D)^2 n^2: a straight line, whose slope tells the depth D of the nose tip. The other
coordinates are medians over the faces that look into the camera (n < 0.05). Eyes and mouth lie in one plane, which
defines a pitch of zero. (Factorising all views, Tomasi and Kanade 1992, takes long noses for nodding and makes D half as large
again.)
"""
import csv, math, sys

NAMES = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")


def read(f, width, height):
    best = {}
    for row in csv.DictReader(f):
        box = [float(row[k]) for k in ("x0", "y0", "x1", "y1")]
        off = (box[0] + box[2] - width) ** 2 + (box[1] + box[3] - height) ** 2
        if row["path"] not in best or off < best[row["path"]][0]:
            best[row["path"]] = off, [(float(row[n + "_x"]), float(row[n + "_y"])) for n in NAMES]
    return [points for _, points in best.values()]


def measure(points):
    """n, r, width of the mouth and height of the nose tip in units of the line from eyes to mouth."""
    eyes, mouth = ([(points[i][k] + points[i + 1][k]) / 2 for k in (0, 1)] for i in (0, 3))
    down = [mouth[k] - eyes[k] for k in (0, 1)]
    line = math.hypot(*down)
    right = (down[1] / line, -down[0] / line)
    across = lambda a, b: ((b[0] - a[0]) * right[0] + (b[1] - a[1]) * right[1]) / line
    nose_y = ((points[2][0] - eyes[0]) * down[0] + (points[2][1] - eyes[1]) * down[1]) / line ** 2
    return across(eyes, points[2]), across(points[0], points[1]), across(points[3], points[4]), nose_y


def median(values):
    return sorted(values)[len(values) // 2]


def main():
    width, height = (float(v) for v in (sys.argv[1:3] or (250, 250)))
    faces = [measure(f) for f in read(sys.stdin, width, height)]
    frontal = [f for f in faces if abs(f[0]) < 0.05]
    eyes, mouth, nose_y = (median([f[k] for f in frontal]) for k in (1, 2, 3))
    turned = [f for f in faces if abs(f[0]) < 0.4]
    x = [f[0] ** 2 for f in turned]
    y = [f[1] ** 2 for f in turned]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)
    depth = math.sqrt((my - slope * mx) / -slope)
    shape = [(-.5, 0, 0), (.5, 0, 0), (0, nose_y / eyes, -depth / eyes), (-mouth / eyes / 2, 1 / eyes, 0), (mouth / eyes / 2, 1 / eyes, 0)]
    for name, point in zip(NAMES, shape):
        print("%-12s %7.3f %7.3f %7.3f" % ((name,) + point))
    print("%d faces, %d of them frontal" % (len(faces), len(frontal)))


main()
