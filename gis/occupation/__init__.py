"""Occupation review (压占分析): the tables a bureau signs under, from the same overlaps the rules read.

    ground of one site ──> land.py      land classes, patches, owners         (the published land use)
                      ──> lines.py     plan, control lines, restrictions, double allocation
                      ──> duties.py    quota and balance, indicators, basic facts, notes
    catalogue.py names every table and column in Chinese and English, with its unit

Areas are in square metres to 0.01; the land tables and the plan tables add up to the site's control area exactly.
A layer nobody loaded gives a row that says so, or null, never zero.
"""

from gis.occupation.case import Case
from gis.occupation.catalogue import TABLES, Column, Table
from gis.occupation.land import land_classes
from gis.occupation.tables import control_area_m2, tables, zone_shares

__all__ = ["TABLES", "Case", "Column", "Table", "control_area_m2", "land_classes", "tables", "zone_shares"]
