// Memory in large pages: 2 MiB each, shared by all books of the process that are smaller than one.
//
// A book is walked at random, and on pages of 4 KiB most of a message's time goes into finding out where they are (more
// so under a hypervisor). Blocks are cut from the current page one after the other and a page goes back when its last
// block does; larger blocks get pages of their own. Asked at construction and growth only, under a lock, because books
// live on different threads. Where there are no large pages, or an address sanitizer wants to see every block for
// itself, this is the C library's allocator.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#define TOUCHLINE_PLAIN_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TOUCHLINE_PLAIN_MEMORY 1
#endif
#endif

#if defined(__linux__) && !defined(TOUCHLINE_PLAIN_MEMORY)
#define TOUCHLINE_LARGE_PAGES 1
#include <sys/mman.h>
#endif

namespace touchline {

class Pages {
public:
    /// At least `bytes` of memory that starts at a cache line, or null. Its content is arbitrary.
    static void* take(std::size_t bytes) noexcept {
#if defined(TOUCHLINE_LARGE_PAGES)
        if (bytes > kPage - sizeof(Header)) {
            return map(whole(bytes));
        }
        const Guard guard;
        const std::size_t wanted = (bytes + kLine - 1) / kLine * kLine;
        if (current_ == nullptr || current_->used + wanted > kPage) {
            void* const page = map(kPage);
            if (page == nullptr) {
                return nullptr;
            }
            if (current_ != nullptr && current_->blocks == 0) {
                unmap(current_, kPage);
            }
            current_ = static_cast<Header*>(page);
            *current_ = Header{sizeof(Header), 0, {}};
        }
        void* const block = reinterpret_cast<char*>(current_) + current_->used;
        current_->used += wanted;
        ++current_->blocks;
        return block;
#else
        return std::aligned_alloc(kLine, (bytes + kLine - 1) / kLine * kLine);
#endif
    }

    /// Gives back what `take` gave for that many bytes; null is nothing.
    static void give(void* memory, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(TOUCHLINE_LARGE_PAGES)
        if (memory == nullptr) {
            return;
        }
        if (bytes > kPage - sizeof(Header)) {
            return unmap(memory, whole(bytes));
        }
        const Guard guard;
        auto* const page = reinterpret_cast<Header*>(reinterpret_cast<std::uintptr_t>(memory) & ~(kPage - 1));
        if (--page->blocks != 0) {
            return;
        }
        if (page == current_) {
            page->used = sizeof(Header);
        } else {
            unmap(page, kPage);
        }
#else
        std::free(memory);
#endif
    }

    /// More than this cannot be asked for.
    static constexpr std::size_t kMost = SIZE_MAX / 4;

private:
    static constexpr std::size_t kLine = 64;
    static constexpr std::size_t kPage = std::size_t{2} << 20;

#if defined(TOUCHLINE_LARGE_PAGES)
    /// The first line of a shared page.
    struct Header {
        std::size_t used;
        std::size_t blocks;
        char reserved[kLine - 2 * sizeof(std::size_t)];
    };
    static_assert(sizeof(Header) == kLine);

    struct Guard {
        Guard() noexcept {
            while (busy_.test_and_set(std::memory_order_acquire)) {
            }
        }
        ~Guard() { busy_.clear(std::memory_order_release); }
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;
    };

    static std::size_t whole(std::size_t bytes) noexcept { return (bytes + kPage - 1) / kPage * kPage; }

    /// `bytes`, a multiple of a page, from a boundary of pages on.
    static void* map(std::size_t bytes) noexcept {
        void* const raw =
            ::mmap(nullptr, bytes + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (raw == MAP_FAILED) {
            return nullptr;
        }
        const auto start = reinterpret_cast<std::uintptr_t>(raw);
        const std::uintptr_t aligned = (start + kPage - 1) & ~(kPage - 1);
        if (aligned != start) {
            (void)::munmap(raw, aligned - start);
        }
        if (aligned + bytes != start + bytes + kPage) {
            (void)::munmap(reinterpret_cast<void*>(aligned + bytes), start + kPage - aligned);
        }
        // Advice only: without large pages everything still works.
        (void)::madvise(reinterpret_cast<void*>(aligned), bytes, MADV_HUGEPAGE);
        return reinterpret_cast<void*>(aligned);
    }

    static void unmap(void* memory, std::size_t bytes) noexcept { (void)::munmap(memory, bytes); }

    static inline std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
    static inline Header* current_ = nullptr;
#endif
};

}  // namespace touchline
