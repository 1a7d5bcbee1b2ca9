"""Labels of a plan never cover each other."""

from itertools import combinations

import numpy as np

from ksi_pipeline.report.plan_labels import Label, boxes_along, place_labels

PAPER = (0.0, 0.0, 400.0, 300.0)


def rectangle(x0, y0, x1, y1):
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)


def zone(*corners, sizes=((40.0, 20.0), (40.0, 10.0))):
    area = rectangle(*corners)
    return Label(sizes, [area], area)


def boxes(labels, places):
    return [p.box(label.sizes) for label, p in zip(labels, places, strict=True) if p is not None]


def meet(one, two):
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def test_a_zone_with_room_has_its_label_in_its_middle():
    (place,) = place_labels([zone(100, 100, 200, 200)], [], [], PAPER)
    assert (place.way, place.x, place.y, place.lead_to) == (0, 150.0, 150.0, None)


def test_crowded_zones_get_labels_that_do_not_overlap():
    labels = [zone(x, y, x + 12, y + 12) for x in range(40, 340, 30) for y in range(60, 240, 40)]
    placed = boxes(labels, place_labels(labels, [], [], PAPER))
    assert len(placed) > len(labels) / 2
    assert not any(meet(one, two) for one, two in combinations(placed, 2))


def test_a_label_keeps_off_what_is_taken():
    taken = boxes_along((100.0, 150.0), (200.0, 150.0), 5.0)
    labels = [zone(100, 100, 200, 200)]
    (box,) = boxes(labels, place_labels(labels, taken, [], PAPER))
    assert not any(meet(box, stroke) for stroke in taken)
    assert box[0] >= 100
    assert box[2] <= 200


def test_the_label_of_a_large_zone_stays_out_of_the_small_zone_in_it():
    small, large = zone(170, 120, 230, 180), zone(20, 20, 380, 280)
    first, second = boxes([large, small], place_labels([large, small], [], [], PAPER))
    assert meet(second, (170, 120, 230, 180))
    assert not meet(first, (170, 120, 230, 180))


def test_a_label_that_had_to_go_far_leads_back_to_its_shape():
    labels = [zone(190, 140, 194, 144), zone(195, 140, 199, 144), zone(200, 140, 204, 144)]
    labels += [zone(190 + 5 * i, 146, 194 + 5 * i, 150) for i in range(3)]
    leads = [place.lead_to for place in place_labels(labels, [], [], PAPER)]
    assert (192.0, 142.0) in leads or (197.0, 142.0) in leads or (202.0, 148.0) in leads


def test_a_label_without_room_is_left_out_and_says_so():
    wide = zone(100, 100, 200, 200, sizes=((500.0, 20.0),))
    assert place_labels([wide], [], [], PAPER) == [None]
    assert place_labels([zone(100, 100, 200, 200)], [PAPER], [], PAPER) == [None]


def test_strokes_are_avoided_where_there_is_room_and_covered_where_there_is_none():
    label = zone(100, 100, 200, 200)
    stroke = (149.0, 0.0, 151.0, 300.0)
    free = boxes([label], place_labels([label], [], [stroke], PAPER))[0]
    assert not meet(free, stroke)
    assert place_labels([label], [], [PAPER], PAPER)[0] is not None
