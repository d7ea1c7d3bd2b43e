"""Printed reports: what is said is worked out once, and dressed for paper, Word, a browser and a spreadsheet.

    check   ──> of_check   ─┐                  ┌─> pdf    by typst; fonts finds the Chinese font or says there is none
    plan    ──> of_plan    ─┼─> model.Report ──┼─> docx
    parcels ──> of_parcels ─┘   mapsheet       ├─> html
                                plate: SVG     └─> xlsx   (a check has its own workbook, api.xlsx)

Nothing here judges or measures; every number stands in the answer that is printed. Text stays data on every way out:
typst receives it as JSON and never as markup, HTML through Jinja's escaping, SVG through `api.escape.safe`, cells
through `layers.sheets`.
"""
