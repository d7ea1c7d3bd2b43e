"""The books of a county: quota, capacity and ground, taken together or not at all, and nothing is ever rewritten.

records   accounts, postings, entries, balances, reservations     states   the life of a reservation, as a table
book      which postings an operation makes, and the fold         story    what the entries of a reservation come to
chain     the hash chain                                          acts     what may be done, over any store
keeping   what a store can do, and the opening entries            sqlite   the store in a county file
verify    proves all of it                                        placed   held ground as a layer
"""
