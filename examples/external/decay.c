/* A "black box" as scientists have them: it reads parameters and data from files in the current
   folder, and writes what it finds to another. Here: chi squared of a decay and a background. */
#include <math.h>
#include <stdio.h>

int main(void)
{
    double a, lifetime, background, t, counts, chi2 = 0.0;
    FILE *in = fopen("parameters.txt", "r"), *data = fopen("data.txt", "r"), *out;
    if (!in || !data || fscanf(in, "%lf %lf %lf", &a, &lifetime, &background) != 3)
        return 1;
    while (fscanf(data, "%lf %lf", &t, &counts) == 2) {
        double expected = a * exp(-t / lifetime) + background;
        chi2 += (counts - expected) * (counts - expected) / expected;
    }
    out = fopen("chi2.txt", "w");
    if (!out || fprintf(out, "%.17g\n", chi2) < 0 || fclose(out))
        return 1;
    return 0;
}
