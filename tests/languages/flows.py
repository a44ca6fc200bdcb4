"""Flows in bash and R for the tests."""

BASH = """\
# %% tags=["parameters"]
alpha=0.1
name=none
network="$DUCTAFLOW_PROJECT/data/links.csv"

# %%
# how many lines the input has
lines=$(cat "$DUCTAFLOW_PROJECT/data/links.csv" | wc -l)
printf '%s' "$name" > name.txt
echo "alpha is $alpha"

# %%
printf '{"alpha": %s, "lines": %s, "folder": "%s"}' "$alpha" "$lines" "$(basename "$PWD")" > results.json
"""

R = """\
# %% tags=["parameters"]
alpha <- 0.1
learning.rate = 1
name <- "none"
net <- list(a = 0)
on <- FALSE
many <- list()

# %%
# the sum
total <- alpha + learning.rate + net$a + sum(unlist(many))
writeBin(charToRaw(enc2utf8(name)), "name.txt")
lines <- readLines(file.path(Sys.getenv("DUCTAFLOW_PROJECT"), "data/links.csv"))
plot(1:3)
message("alpha is ", alpha)

# %%
jsonlite::write_json(
  list(total = total, lines = length(lines), folder = basename(getwd()), on = on),
  "results.json", auto_unbox = TRUE
)
"""
