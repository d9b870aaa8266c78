// Searches among sixteen numbers at once, none with a branch to mispredict: what both indexes are made for.
//
// One body for every processor, and on x86-64 two more, chosen at run time: without AVX2 it cannot compare 64-bit numbers
// four at a time, without AVX-512 not eight, and a program built for every x86-64 may still use them where they are.
// They bring BMI2 along, whose shifts by a number that is not known before take one step instead of three.
#pragma once

#include <cstdint>

#include "touchline/leaf.hpp"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define TOUCHLINE_X86 1
#define TOUCHLINE_AVX2 [[gnu::target("avx2,bmi,bmi2,popcnt")]]
#define TOUCHLINE_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,popcnt")]]
#include <immintrin.h>
#endif

/// A function out of the way of those that are called often. GCC must not know what it is like: when it does, it leaves
/// out the instruction that ends the use of wide registers before the call, and the first narrow one after that costs
/// thousands of cycles.
#if defined(__GNUC__) && !defined(__clang__)
#define TOUCHLINE_APART [[gnu::noinline, gnu::noipa]]
#else
#define TOUCHLINE_APART [[gnu::noinline]]
#endif

namespace touchline {

/// How far the processor's instructions reach.
enum class Reach : std::uint8_t { plain, avx2, avx512 };

inline Reach reach_of_processor() noexcept {
#if defined(TOUCHLINE_REACH)
    // A test names the body that it is about.
    return Reach::TOUCHLINE_REACH;
#elif defined(TOUCHLINE_X86)
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                          __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return !has_avx2 ? Reach::plain : !has_avx512 ? Reach::avx2 : Reach::avx512;
#else
    return Reach::plain;
#endif
}

/// Where a key is in a leaf, or would be.
struct LeafSpot {
    /// How many keys are below.
    std::uint32_t rank;
    /// The place of the level with that key, or `kNoPlace`.
    std::uint32_t place;
};

struct PlainSearch {
    /// Which of sixteen numbers equal `wanted` under `mask`, as bits.
    static std::uint32_t equal16(const std::uint32_t* numbers, std::uint32_t wanted, std::uint32_t mask) noexcept {
#if defined(__SSE2__)
        const auto* const quads = reinterpret_cast<const __m128i*>(numbers);
        const __m128i wanted4 = _mm_set1_epi32(static_cast<int>(wanted));
        const __m128i mask4 = _mm_set1_epi32(static_cast<int>(mask));
        const auto equal = [&](int at) {
            return _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(quads + at), mask4), wanted4);
        };
        const __m128i low = _mm_packs_epi32(equal(0), equal(1));
        const __m128i high = _mm_packs_epi32(equal(2), equal(3));
        return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
#else
        std::uint32_t bits = 0;
        for (std::uint32_t at = 0; at < 16; ++at) {
            bits |= ((numbers[at] & mask) == wanted ? 1U : 0U) << at;
        }
        return bits;
#endif
    }

    /// How many of sixteen numbers are at most `key`.
    static std::uint32_t up_to16(const std::int64_t* numbers, std::int64_t key) noexcept {
        std::uint32_t count = 0;
        for (int at = 0; at < 16; ++at) {
            count += numbers[at] <= key ? 1 : 0;
        }
        return count;
    }

    static std::uint32_t up_to32(const std::int64_t* numbers, std::int64_t key) noexcept {
        return up_to16(numbers, key) + up_to16(numbers + 16, key);
    }

    static LeafSpot find(const LevelLeaf& leaf, std::int64_t key) noexcept {
        std::uint32_t rank = 0;
        for (const std::int64_t other : leaf.keys) {
            rank += other < key ? 1 : 0;
        }
        return {rank, place_of(leaf, rank, key)};
    }

    static std::uint32_t place_of(const LevelLeaf& leaf, std::uint32_t rank, std::int64_t key) noexcept {
        const std::uint32_t place = leaf.place_at(rank);
        return place != LevelLeaf::kNoPlace && leaf.keys[place] == key ? place : LevelLeaf::kNoPlace;
    }
};

#if defined(TOUCHLINE_X86)
struct Avx2Search {
    TOUCHLINE_AVX2 static std::uint32_t equal16(const std::uint32_t* numbers, std::uint32_t wanted,
                                                std::uint32_t mask) noexcept {
        return PlainSearch::equal16(numbers, wanted, mask);
    }

    TOUCHLINE_AVX2 static std::uint32_t up_to16(const std::int64_t* numbers, std::int64_t key) noexcept {
        const __m256i key4 = _mm256_set1_epi64x(key);
        const auto* const fours = reinterpret_cast<const __m256i*>(numbers);
        const std::uint32_t above = bits_of(_mm256_cmpgt_epi64(_mm256_load_si256(fours), key4),
                                            _mm256_cmpgt_epi64(_mm256_load_si256(fours + 1), key4),
                                            _mm256_cmpgt_epi64(_mm256_load_si256(fours + 2), key4),
                                            _mm256_cmpgt_epi64(_mm256_load_si256(fours + 3), key4));
        return 16 - static_cast<std::uint32_t>(__builtin_popcount(above)) / 2;
    }

    TOUCHLINE_AVX2 static std::uint32_t up_to32(const std::int64_t* numbers, std::int64_t key) noexcept {
        return up_to16(numbers, key) + up_to16(numbers + 16, key);
    }

    TOUCHLINE_AVX2 static LeafSpot find(const LevelLeaf& leaf, std::int64_t key) noexcept {
        // The sixteenth number of the lines is the order word and counts for nothing; free places hold the greatest key.
        const __m256i key4 = _mm256_set1_epi64x(key);
        const auto* const fours = reinterpret_cast<const __m256i*>(&leaf);
        const std::uint32_t below = bits_of(_mm256_cmpgt_epi64(key4, _mm256_load_si256(fours)),
                                            _mm256_cmpgt_epi64(key4, _mm256_load_si256(fours + 1)),
                                            _mm256_cmpgt_epi64(key4, _mm256_load_si256(fours + 2)),
                                            _mm256_cmpgt_epi64(key4, _mm256_load_si256(fours + 3)));
        const std::uint32_t rank = static_cast<std::uint32_t>(__builtin_popcount(below & 0x3FFF'FFFF)) / 2;
        return {rank, PlainSearch::place_of(leaf, rank, key)};
    }

private:
    /// Four times four answers of a comparison as bits, two for each: in an order of the processor's own, but for the
    /// last, which is on top.
    TOUCHLINE_AVX2 static std::uint32_t bits_of(__m256i one, __m256i two, __m256i three, __m256i four) noexcept {
        const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(one, two), _mm256_packs_epi32(three, four));
        return static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes));
    }
};

struct Avx512Search {
    TOUCHLINE_AVX512 static std::uint32_t equal16(const std::uint32_t* numbers, std::uint32_t wanted,
                                                  std::uint32_t mask) noexcept {
        const __m512i masked = _mm512_and_epi32(_mm512_load_si512(numbers), _mm512_set1_epi32(static_cast<int>(mask)));
        return _mm512_cmpeq_epi32_mask(masked, _mm512_set1_epi32(static_cast<int>(wanted)));
    }

    TOUCHLINE_AVX512 static std::uint32_t up_to16(const std::int64_t* numbers, std::int64_t key) noexcept {
        return static_cast<std::uint32_t>(__builtin_popcount(bits_up_to(numbers, key)));
    }

    TOUCHLINE_AVX512 static std::uint32_t up_to32(const std::int64_t* numbers, std::int64_t key) noexcept {
        return static_cast<std::uint32_t>(
            __builtin_popcount(_mm512_kunpackw(bits_up_to(numbers + 16, key), bits_up_to(numbers, key))));
    }

    TOUCHLINE_AVX512 static LeafSpot find(const LevelLeaf& leaf, std::int64_t key) noexcept {
        // The sixteenth number counts for nothing here either: it may only lead to a second look.
        const __m512i key8 = _mm512_set1_epi64(key);
        const __m512i low = _mm512_load_si512(&leaf);
        const __m512i high = _mm512_load_si512(&leaf.keys[8]);
        const __mmask16 below =
            _mm512_kunpackb(_mm512_cmplt_epi64_mask(high, key8), _mm512_cmplt_epi64_mask(low, key8));
        const auto rank = static_cast<std::uint32_t>(__builtin_popcount(below & LevelLeaf::kAllPlaces));
        if (_kortestz_mask8_u8(_mm512_cmpeq_epi64_mask(low, key8), _mm512_cmpeq_epi64_mask(high, key8)) != 0) {
            return {rank, LevelLeaf::kNoPlace};
        }
        return {rank, PlainSearch::place_of(leaf, rank, key)};
    }

private:
    TOUCHLINE_AVX512 static __mmask16 bits_up_to(const std::int64_t* numbers, std::int64_t key) noexcept {
        const __m512i key8 = _mm512_set1_epi64(key);
        return _mm512_kunpackb(_mm512_cmple_epi64_mask(_mm512_load_si512(numbers + 8), key8),
                               _mm512_cmple_epi64_mask(_mm512_load_si512(numbers), key8));
    }
};
#endif

}  // namespace touchline
