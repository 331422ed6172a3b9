"""The instructor's side of the book: the exercise bank, assignments, and grading in a sandbox.

bank      read and validate the masters of exercises
assign    a student's notebook, the secret key and the answer key from chosen exercises
sandbox   run code that nobody has read, with bubblewrap
worker    what runs inside: computes, and knows no answer
grade     compare what came out with the reference solution; rows, feedback, marks
cli       the command `genkit-book`
"""
