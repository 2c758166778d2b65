"""Setting up a cluster by questions: the questions, a form of answers, what is wrong with them, and its exports."""
