"""What is wrong with a layer's geometry, where, and a repair that logs every change.

`examine` finds the faulty places of a layer, `tolerances` says from which figure on something is a fault, and
`repair` mends what can be mended within stated bounds.
"""

from layers.quality.examine import examine
from layers.quality.page import write_page
from layers.quality.record import Quality
from layers.quality.repair import Repaired, repair
from layers.quality.tolerances import CHECKS, Tolerances, tolerances
from layers.quality.work import LEFT

__all__ = ["CHECKS", "LEFT", "Quality", "Repaired", "Tolerances", "examine", "repair", "tolerances", "write_page"]
