"""Printed reports: what is said is worked out once, and dressed for paper, for Word, for a browser and for a spreadsheet.

    check JSON ──> of_check ─┐                 ┌─> pdf (typst)   fonts: finds the Chinese font, or says that there is none
    plan JSON  ──> of_plan  ─┼──> model.Report ┼─> docx
    parcels    ──> mapsheet ─┘     plate: SVG  ├─> html
                                   at true     └─> xlsx
                                   scale

Nothing here judges or measures; every number stands in the answer that is printed. Text stays data on every way out:
typst receives it as JSON and never as markup, HTML through Jinja's escaping, SVG through `api.escape.safe`, cells
through `layers.sheets`.
"""
